"""Layers one after the other, and what can be told of them beforehand."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from nets.types import Layer, Params, Window, factory


@factory
def sequential(*layers: Layer) -> Layer:
    """Layers of images, each applied to what the one before puts out.

        y = layer_n(... layer_2(layer_1(x)))

    Args:
        *layers: Of `nets.blocks`, from the input to the output.

    Returns:
        A `Layer` whose parameters are a tuple, one entry a layer.

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

    def window(shape):
        return receptive_field(layers, shape)

    return Layer(
        init, apply, _space(layers), f"sequential of {len(layers)}", window=window
    )


@factory
def residual(*layers: Layer) -> Layer:
    """Layers around which the input passes by: what they learn is the difference.

        y = x + layer_n(... layer_1(x))

    Args:
        *layers: As in `sequential`; the last puts out the shape that the first takes.

    Returns:
        A `Layer` with the parameters of `sequential`.

    Raises:
        ValueError: From `apply`, the shapes differ.

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
    return Layer(
        inner.init, apply, inner.spatial_dims, f"residual ({names})", inner.window
    )


@contextlib.contextmanager
def naming(place: int, layers: Sequence[Layer], shape: Sequence[int]) -> Iterator[None]:
    """Say in an error which of several layers it is that does not fit.

    Args:
        place: Of the layer.
        layers: All of them.
        shape: Of the example that it is given.

    Yields:
        Nothing.
    """
    try:
        yield
    except ValueError as error:
        where = f"layer {place} ({layers[place].name}) of {len(layers)}"
        raise ValueError(f"{where}, for inputs {list(shape)}: {error}") from None


def _space(layers: Sequence[Layer]) -> int:
    """How many spatial axes the first of them has that says so."""
    for layer in layers:
        if layer.spatial_dims or layer.window is None:
            return layer.spatial_dims
    return 0


def outputs(
    layers: Sequence[Layer], params: Sequence[Params], xs: Shaped[Array, "..."]
) -> list[Any]:
    """What every layer puts out, from the first to the last: the feature maps.

    Args:
        layers: As in `sequential`.
        params: Of each of them.
        xs: The input, [*batch, *space, channels].

    Returns:
        One output a layer.

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
    found, ys = [], xs
    for layer, own in zip(layers, params, strict=True):
        ys = layer.apply(own, ys)
        found.append(ys)
    return found


def example_shape(layer: Layer, xs: Shaped[Array, "..."]) -> tuple[int, ...]:
    """The shape of one example, which a layer is initialised with.

    Args:
        layer: The layer that takes it.
        xs: [*batch, *space, channels].

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


def output_shape(layer: Layer, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of what a layer puts out, without computing it.

    Args:
        layer: Of `nets.blocks`.
        shape: Of one example, [*space, channels].

    Returns:
        Likewise, of one output.

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


def receptive_field(layers: Sequence[Layer], shape: Sequence[int]) -> Window | None:
    """What one output of the last layer sees of the input of the first.

        r <- e + (floor(r) - 1) s,    r = 1 at the end

    from the last layer to the first, with the extent e and the stride s of each.

    Args:
        layers: As in `sequential`.
        shape: Of one example, [*space, channels].

    Returns:
        The `Window`, as if nothing wrapped around (as "circular" padding does). If the
        first layer makes larger its extent may be a fraction: so many and no more whole
        places are seen. None after a layer that sees all that there is, as dense layers
        of vectors do.

    Raises:
        ValueError: A layer does not fit the one before it.

    Example:
        >>> from nets import blocks
        >>> conv, pool = blocks.conv(8, (3, 3)), blocks.max_pool((2, 2))
        >>> seen = receptive_field([conv, conv, pool] * 2, (32, 32, 1))
        >>> [int(e) for e in seen.extent], [int(s) for s in seen.stride]
        ([16, 16], [4, 4])

    References:
        Araujo, Norris and Sim 2019, Computing receptive fields of convolutional neural
        networks, Distill, https://doi.org/10.23915/distill.00021
    """
    windows = []
    for layer in layers:
        window = None if layer.window is None else layer.window(shape)
        if window is None:
            return None
        windows.append(window)
        shape = output_shape(layer, shape)
    extent = stride = (Fraction(1),) * (len(shape) - 1)
    for window in reversed(windows):
        extent = tuple(
            e + (math.floor(r) - 1) * s
            for r, e, s in zip(extent, window.extent, window.stride, strict=True)
        )
        stride = tuple(j * s for j, s in zip(stride, window.stride, strict=True))
    return Window(extent, stride)
