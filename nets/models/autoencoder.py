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
from nets.types import Layer

UPSAMPLING = ("nearest", "linear", "transposed", "unpool")
Switches = tuple[Int[Array, "..."], ...]


class Autoencoder(nn.Module):
    """Images through a bottleneck: all that passes is a short vector, the latent.

        z = dense(flatten([conv, activation, max_pool] for each of filters))
        x' = sigmoid(conv(upsample(... activation(conv(upsample(dense(z)))))))

    The decoder mirrors the encoder: each pool halves, each upsampling doubles. How it
    doubles is a choice:

        nearest, linear    interpolate, then convolve
        transposed         one transposed convolution of stride 2 does both
        unpool             set each number where the encoder's pool found its maximum,
                           and zeros around it, then convolve

    The places of the maxima, the switches, tell the decoder of an unpooling autoencoder
    much that is not in z. Decoding without them, as one must when z is no example's,
    sets each number at the first place of its window.

    Attributes:
        shape: Of one example, [*space, channels], its pixels from 0 to 1. Each spatial
            size is a multiple of 2^(number of filters).
        latent: How many numbers z has.
        filters: Feature maps of the encoder's blocks; the decoder's in reverse.
        kernel_size: Of all convolutions; its length is the number of spatial axes.
        upsample: "nearest", "linear", "transposed" or "unpool".
        activation: Of all layers but those that put out z and x'.
        kernel_init: How the weights start, of `nets.initializers.kernels`.

    Call with `xs` [*batch, *space, channels]. Returns reconstructions of that shape.
    The methods `encode` and `decode` do one half each.

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
        """Of each pool, and of what undoes it."""
        return (2,) * len(self.kernel_size)

    @property
    def layers(self) -> list[Layer]:
        """From the image to z and on to the image, for `nets.blocks.summary`."""
        return [*self._encoder_layers, *self._decoder_layers]

    @property
    def _encoder_layers(self) -> list[Layer]:
        layers: list[Layer] = []
        for count in self.filters:
            conv = blocks.conv(count, self.kernel_size, **self._options)
            layers += [conv, blocks.max_pool(self.window)]
        z = blocks.dense(self.latent, activation=None, init=self.kernel_init)
        return [*layers, blocks.flatten(len(self.window)), z]

    @property
    def _decoder_layers(self) -> list[Layer]:
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

    def _doubling(self, count: int, **changed: Any) -> list[Layer]:
        """The layers that double every spatial size, and put out so many maps."""
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
        """The latents, and what else the decoder is told.

        Args:
            xs: [*batch, *space, channels].

        Returns:
            z, [*batch, latent], and the switches: the indices of `nets.max_pool`, one
            array a pool, the first pool's first; none unless `upsample` is "unpool".

        Raises:
            ValueError: The examples have another shape.
        """
        if xs.shape[-len(self.shape) :] != self.shape:
            raise ValueError(
                f"expected an input [*batch, {', '.join(map(str, self.shape))}], as "
                f"the autoencoder was made for; got shape {list(xs.shape)}"
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
        """The images that latents stand for.

        Args:
            z: [*batch, latent], of examples or any others.
            switches: Of `encode`; none for unpooling without them.

        Returns:
            [*batch, *space, channels], from 0 to 1.

        Raises:
            ValueError: There are switches, but not one a pool.
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
    """Refuse what the layers would not, or would in words of their own."""
    axes = len(kernel_size)
    if upsample not in UPSAMPLING:
        raise ValueError(
            f"expected upsample to be one of {', '.join(UPSAMPLING)}; got {upsample!r}"
        )
    if len(shape) != axes + 1 or min(shape) < 1:
        raise ValueError(
            f"expected examples of shape [*space, channels] with {axes} spatial axes, "
            f"as a {format_shape(kernel_size)} kernel asks; got shape {list(shape)}"
        )
    if not filters or min(filters) < 1:
        raise ValueError(
            "expected filters to be positive integers, one a block; got "
            f"{list(filters)}"
        )
    if latent < 1:
        raise ValueError(f"expected latent to be a positive integer; got {latent}")
    factor = 2 ** len(filters)
    if any(n % factor for n in shape[:-1]):
        raise ValueError(
            f"expected spatial sizes that are multiples of {factor}, as each of "
            f"{len(filters)} pools halves them; got {format_shape(shape[:-1])}"
        )
