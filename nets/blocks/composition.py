"""Image layers in sequence, and their shapes and receptive fields."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets.factories import factory
from nets.types import ImageLayer, Params, ReceptiveField


@factory
def sequential(*layers: ImageLayer) -> ImageLayer:
    """Image layers, each applied to the output of the one before.

        y = layer_n(... layer_2(layer_1(x)))

    Args:
        *layers: Layers of `nets.blocks`, from the input to the output.

    Returns:
        An `ImageLayer` whose parameters are a tuple, one entry per layer.

    Raises:
        ValueError: There is no layer; or, from `init`, a layer does not fit the one
            before it.

    Example:
        >>> from nets import blocks
        >>> cnn = blocks.sequential(
        ...     blocks.conv(16, (3, 3), padding="same"),
        ...     blocks.max_pool((2, 2)),
        ...     blocks.flatten(axes=2),
        ...     blocks.dense(10, activation=None),
        ... )
        >>> params = cnn.init(jax.random.key(0), (8, 8, 1))
        >>> cnn.apply(params, jnp.ones((5, 8, 8, 1))).shape
        (5, 10)
    """
    if not layers:
        raise ValueError("expected at least one layer; got none")

    def init(key, shape):
        params = []
        for i, layer in enumerate(layers):
            with naming(i, layers, shape):
                params.append(layer.init(jax.random.fold_in(key, i), shape))
                shape = output_shape(layer, shape)
        return tuple(params)

    def apply(params, xs):
        return outputs(layers, params, xs)[-1]

    def field(shape):
        return receptive_field(layers, shape)

    return ImageLayer(
        init,
        apply,
        _space(layers),
        f"sequential of {len(layers)}",
        receptive_field=field,
    )


@factory
def residual(*layers: ImageLayer) -> ImageLayer:
    """Layers with a skip connection: their input is added to their output.

        y = x + layer_n(... layer_1(x))

    Args:
        *layers: As in `sequential`; the output of the last layer has the shape of the
            input of the first.

    Returns:
        An `ImageLayer` with the parameters of `sequential`.

    Raises:
        ValueError: From `apply`: the shapes differ.

    Example:
        >>> from nets import blocks
        >>> layer = blocks.residual(blocks.dense(8))
        >>> params = layer.init(jax.random.key(0), (8,))
        >>> layer.apply(params, jnp.ones((5, 8))).shape
        (5, 8)

    References:
        He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, CVPR,
        https://arxiv.org/abs/1512.03385
    """
    inner = sequential(*layers)

    def apply(params, xs):
        ys = inner.apply(params, xs)
        if ys.shape != xs.shape:
            raise ValueError(
                "expected layers whose output has the shape of their input, to which "
                f"it is added; got {list(ys.shape)} for {list(xs.shape)}"
            )
        return xs + ys

    names = ", ".join(layer.name for layer in layers)
    return ImageLayer(
        inner.init,
        apply,
        inner.spatial_dims,
        f"residual ({names})",
        inner.receptive_field,
    )


@contextlib.contextmanager
def naming(
    place: int, layers: Sequence[ImageLayer], shape: Sequence[int]
) -> Iterator[None]:
    """Name the layer in a `ValueError` that its initialization raises.

    Args:
        place: Index of the layer.
        layers: All layers.
        shape: Shape of the example that the layer is given.

    Yields:
        Nothing.
    """
    try:
        yield
    except ValueError as error:
        where = f"layer {place} ({layers[place].name}) of {len(layers)}"
        raise ValueError(f"{where}, for inputs {list(shape)}: {error}") from None


def _space(layers: Sequence[ImageLayer]) -> int:
    """Number of spatial axes of the first layer that specifies it."""
    for layer in layers:
        if layer.spatial_dims or layer.receptive_field is None:
            return layer.spatial_dims
    return 0


def outputs(
    layers: Sequence[ImageLayer], params: Sequence[Params], xs: Shaped[Array, "..."]
) -> list[Any]:
    """Outputs of all layers, from the first to the last: the feature maps.

    Args:
        layers: As in `sequential`.
        params: Parameters, one entry per layer.
        xs: Input, [*batch, *space, channels].

    Returns:
        One output per layer.

    Raises:
        ValueError: There are more or fewer parameters than layers.

    Example:
        >>> from nets import blocks
        >>> layers = [blocks.conv(4, (3, 3)), blocks.max_pool((2, 2))]
        >>> params = blocks.sequential(*layers).init(jax.random.key(0), (8, 8, 1))
        >>> [ys.shape for ys in outputs(layers, params, jnp.ones((8, 8, 1)))]
        [(6, 6, 4), (3, 3, 4)]
    """
    if len(params) != len(layers):
        raise ValueError(
            f"expected parameters of {len(layers)} layers; got those of {len(params)}"
        )
    maps, ys = [], xs
    for layer, params_of_layer in zip(layers, params, strict=True):
        ys = layer.apply(params_of_layer, ys)
        maps.append(ys)
    return maps


def example_shape(layer: ImageLayer, xs: Shaped[Array, "..."]) -> tuple[int, ...]:
    """Shape of one example, which a layer is initialized with.

    Args:
        layer: Layer that takes the example.
        xs: Input, [*batch, *space, channels].

    Returns:
        [*space, channels].

    Raises:
        ValueError: The input has too few axes.

    Example:
        >>> from nets import blocks
        >>> example_shape(blocks.max_pool((2, 2)), jnp.ones((5, 8, 8, 1)))
        (8, 8, 1)
    """
    if xs.ndim < layer.spatial_dims + 1:
        raise ValueError(
            "expected an input [*batch, *space, channels] with "
            f"{layer.spatial_dims} spatial axes, as {layer.name} asks; got shape "
            f"{list(xs.shape)}"
        )
    return xs.shape[xs.ndim - layer.spatial_dims - 1 :]


def output_shape(layer: ImageLayer, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of a layer's output, without computing the output.

    Args:
        layer: Layer of `nets.blocks`.
        shape: Shape of one example, [*space, channels].

    Returns:
        Shape of the output for one example.

    Raises:
        ValueError: The layer does not take such examples.

    Example:
        >>> from nets import blocks
        >>> output_shape(blocks.conv(6, (5, 5), strides=2), (28, 28, 1))
        (12, 12, 6)
    """

    def run(key, x):
        return layer.apply(layer.init(key, shape), x)

    x = jax.ShapeDtypeStruct(tuple(shape), jnp.float32)
    return jax.eval_shape(run, jax.random.key(0), x).shape


def receptive_field(
    layers: Sequence[ImageLayer], shape: Sequence[int]
) -> ReceptiveField | None:
    """Receptive field of one output of the last layer in the input of the first.

        r <- e + (floor(r) - 1) s,    r = 1 at the end

    from the last layer to the first, where e and s are the size and the stride of the
    receptive field of each layer.

    Args:
        layers: As in `sequential`.
        shape: Shape of one example, [*space, channels].

    Returns:
        The `ReceptiveField`, without the wrap-around of "circular" padding. None after
        a layer each of whose outputs depends on its whole input, such as a dense layer
        of vectors.

    Raises:
        ValueError: A layer does not fit the one before it.

    Example:
        >>> from nets import blocks
        >>> conv, pool = blocks.conv(8, (3, 3)), blocks.max_pool((2, 2))
        >>> field = receptive_field([conv, conv, pool] * 2, (32, 32, 1))
        >>> [int(n) for n in field.size], [int(s) for s in field.stride]
        ([16, 16], [4, 4])

    References:
        Araujo, Norris and Sim 2019, Computing receptive fields of convolutional neural
        networks, Distill, https://doi.org/10.23915/distill.00021
    """
    fields = []
    for layer in layers:
        field = None if layer.receptive_field is None else layer.receptive_field(shape)
        if field is None:
            return None
        fields.append(field)
        shape = output_shape(layer, shape)
    size = stride = (Fraction(1),) * (len(shape) - 1)
    for field in reversed(fields):
        size = tuple(
            e + (math.floor(r) - 1) * s
            for r, e, s in zip(size, field.size, field.stride, strict=True)
        )
        stride = tuple(j * s for j, s in zip(stride, field.stride, strict=True))
    return ReceptiveField(size, stride)
