"""The convolutional autoencoder."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Int, Shaped

from nets import blocks, convolutional
from nets.convolutional.geometry import format_shape, window_size
from nets.initializers import kernels
from nets.linen import Block
from nets.types import ImageLayer

UPSAMPLING = ("nearest", "linear", "transposed", "unpool")
Switches = tuple[Int[Array, "..."], ...]


class Autoencoder(nn.Module):
    """Convolutional autoencoder: the bottleneck is a short vector, the latent.

        z = dense(flatten([conv, activation, max_pool] for each of filters))
        x' = sigmoid(conv(upsample(... activation(conv(upsample(dense(z)))))))

    The decoder mirrors the encoder: each pool halves the spatial sizes, each upsampling
    doubles them. `upsample` selects the method:

        nearest, linear    interpolate, then convolve
        transposed         one transposed convolution of stride 2 does both
        unpool             place each number at the index of the maximum in the
                           encoder's pool, with zeros elsewhere, then convolve

    With "unpool", the decoder also receives the indices of the maxima (the switches),
    which contain much information that is not in z. Without switches, e.g. for a z that
    belongs to no example, the decoder places each number at the first position of its
    window.

    Attributes:
        shape: Shape of one example, [*space, channels], with pixels from 0 to 1. Each
            spatial size must be a multiple of 2^len(filters).
        latent: Number of features of z.
        filters: Number of filters of each block of the encoder. The decoder has the
            same numbers in reverse.
        kernel_size: Kernel size of all convolutions, one number per spatial axis.
        upsample: Upsampling method: "nearest", "linear", "transposed" or "unpool".
        activation: Activation function of all layers except those that return z and x'.
        kernel_init: Initializer of the weights, from `nets.initializers.kernels`.

    Call it with `xs` [*batch, *space, channels]. It returns reconstructions of the same
    shape. The methods `encode` and `decode` run one half each.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.models import Autoencoder
        >>> model = Autoencoder((8, 8, 1), latent=8)
        >>> xs = jnp.ones((5, 8, 8, 1))
        >>> variables = model.init(jax.random.key(0), xs)
        >>> z, switches = model.apply(variables, xs, method="encode")
        >>> z.shape, switches
        ((5, 8), ())
        >>> model.apply(variables, z, method="decode").shape
        (5, 8, 8, 1)

    References:
        Masci, Meier, Ciresan and Schmidhuber 2011, Stacked convolutional auto-encoders
        for hierarchical feature extraction, ICANN.
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks,
        ECCV, https://arxiv.org/abs/1311.2901 (the switches)
    """

    shape: Sequence[int]
    latent: int
    filters: Sequence[int] = (16, 32)
    kernel_size: Sequence[int] = (3, 3)
    upsample: str = "nearest"
    activation: Callable[[Array], Array] = jax.nn.relu
    kernel_init: kernels.KernelInitializer = kernels.linen

    def __post_init__(self):
        self.kernel_size = window_size("kernel_size", self.kernel_size)
        self.filters = tuple(self.filters)
        self.shape = tuple(self.shape)
        _check(self.shape, self.filters, self.kernel_size, self.upsample, self.latent)
        super().__post_init__()

    @property
    def window(self) -> tuple[int, ...]:
        """Window of each pool and unpooling."""
        return (2,) * len(self.kernel_size)

    @property
    def layers(self) -> list[ImageLayer]:
        """All layers of encoder and decoder, e.g. for `nets.blocks.summary`."""
        return [*self._encoder_layers, *self._decoder_layers]

    @property
    def _encoder_layers(self) -> list[ImageLayer]:
        layers: list[ImageLayer] = []
        for count in self.filters:
            conv = blocks.conv(count, self.kernel_size, **self._options)
            layers += [conv, blocks.max_pool(self.window)]
        z = blocks.dense(self.latent, activation=None, init=self.kernel_init)
        return [*layers, blocks.flatten(len(self.window)), z]

    @property
    def _decoder_layers(self) -> list[ImageLayer]:
        smallest = [n // 2 ** len(self.filters) for n in self.shape[:-1]]
        maps = (*smallest, self.filters[-1])
        dense = blocks.dense(
            math.prod(maps), activation=self.activation, init=self.kernel_init
        )
        layers = [dense, blocks.reshape(maps)]
        for count in reversed(self.filters[:-1]):
            layers += self._doubling(count)
        return layers + self._doubling(self.shape[-1], activation=jax.nn.sigmoid)

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "padding": "same",
            "activation": self.activation,
            "init": self.kernel_init,
        }

    def _doubling(self, count: int, **changed: Any) -> list[ImageLayer]:
        """Return layers that double the spatial sizes, with `count` output channels."""
        options = {**self._options, **changed}
        if self.upsample == "transposed":
            return [
                blocks.conv_transpose(count, self.kernel_size, strides=2, **options)
            ]
        if self.upsample == "unpool":
            larger = blocks.unpool(self.window)
        else:
            larger = blocks.upsample(self.window, method=self.upsample)
        return [larger, blocks.conv(count, self.kernel_size, **options)]

    def setup(self):
        self.encoder = [Block(layer) for layer in self._encoder_layers]
        self.decoder = [Block(layer) for layer in self._decoder_layers]

    def __call__(self, xs: Shaped[Array, "..."]) -> Float[Array, "..."]:
        return self.decode(*self.encode(xs))

    def encode(
        self, xs: Shaped[Array, "..."]
    ) -> tuple[Float[Array, "*batch latent"], Switches]:
        """Encode examples as latents.

        Args:
            xs: Examples, [*batch, *space, channels].

        Returns:
            z, [*batch, latent], and the switches: the indices of `nets.max_pool`, one
            array per pool, in the order of the pools. The switches are empty unless
            `upsample` is "unpool".

        Raises:
            ValueError: The shape of the examples does not match `shape`.
        """
        if xs.shape[-len(self.shape) :] != self.shape:
            raise ValueError(
                f"expected an input [*batch, {', '.join(map(str, self.shape))}], as "
                f"the autoencoder requires; got shape {list(xs.shape)}"
            )
        switches = []
        for block in self.encoder:
            is_pool = block.layer == blocks.max_pool(self.window)
            if is_pool and self.upsample == "unpool":
                xs, indices = convolutional.max_pool(
                    xs, self.window, return_indices=True
                )
                switches.append(indices)
            else:
                xs = block(xs)
        return xs, tuple(switches)

    def decode(
        self, z: Float[Array, "*batch latent"], switches: Switches = ()
    ) -> Float[Array, "..."]:
        """Decode latents to images.

        Args:
            z: Latents, [*batch, latent], of examples or any other vectors.
            switches: Switches from `encode`; empty to unpool without switches.

        Returns:
            Images, [*batch, *space, channels], with pixels from 0 to 1.

        Raises:
            ValueError: The number of switches is neither 0 nor the number of pools.
        """
        pools = len(self.filters) if self.upsample == "unpool" else 0
        if len(switches) not in (0, pools):
            raise ValueError(
                f"expected switches of {pools} pools, or none; got {len(switches)}"
            )
        left, ys = list(switches), z
        for block in self.decoder:
            if left and block.layer == blocks.unpool(self.window):
                larger = [2 * n for n in ys.shape[-len(self.shape) : -1]]
                ys = convolutional.unpool(ys, left.pop(), larger)
            else:
                ys = block(ys)
        return ys


def _check(shape, filters, kernel_size, upsample, latent) -> None:
    """Check arguments that the layers would accept, or reject with unclear messages."""
    axes = len(kernel_size)
    if upsample not in UPSAMPLING:
        raise ValueError(
            f"expected upsample to be one of {', '.join(UPSAMPLING)}; got {upsample!r}"
        )
    if len(shape) != axes + 1 or min(shape) < 1:
        raise ValueError(
            f"expected examples of shape [*space, channels] with {axes} spatial axes, "
            f"as a {format_shape(kernel_size)} kernel requires; got shape {list(shape)}"
        )
    if not filters or min(filters) < 1:
        raise ValueError(
            "expected filters to be positive integers, one per block; got "
            f"{list(filters)}"
        )
    if latent < 1:
        raise ValueError(f"expected latent to be a positive integer; got {latent}")
    factor = 2 ** len(filters)
    if any(n % factor for n in shape[:-1]):
        raise ValueError(
            f"expected spatial sizes that are multiples of {factor}, because each of "
            f"{len(filters)} pools halves them; got {format_shape(shape[:-1])}"
        )
