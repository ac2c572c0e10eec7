"""Attribution of a loss to its inputs: gradients by the inputs, and their integrals."""

from collections.abc import Callable
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, Shaped

from nets.compiling import compiled
from nets.flow.arguments import integer
from nets.flow.state_gradients import check_scalar_loss, is_real
from nets.recurrent import RecurrentLayer, as_layer
from nets.recurrent.padding import check_padding, padding_mask, select_valid
from nets.types import Cell, Params, State


def input_saliency(
    layer: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    **options: Any,
) -> tuple[Float[Array, ""], PyTree[Shaped[Array, "..."]]]:
    """The loss, and dL/dx_t for every step t, in one backward pass.

        g_t = dL/dx_t,   t = 0 ... T - 1

    The gradient measures how strongly the loss depends on each input, through all
    layers and directions. `state_gradients` measures the same for each state.

    Args:
        layer: Any `Cell`, or a recurrent layer.
        params: Parameters of the layer.
        xs: Inputs, [time, *batch, inputs], or a tree of inputs.
        loss: Function of the final state and all outputs, as `unroll` returns them, to
            a scalar. If the loss sums over the batch, g_t of each sequence is the
            gradient of its term.
        state: State before the first step.
        **options: Other options of `nets.unroll`. With `lengths` or a `mask`, the
            gradient at a padded step is zero.

    Returns:
        The loss, and its gradients, [time, *batch, inputs]. In a tree of inputs, the
        gradient of an entry of integers is zero.

    Raises:
        ValueError: No input is a float (e.g. all are tokens); the loss is not a scalar;
            or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> layer = nets.bidirectional(nets.gru())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (50, 5, 3))
        >>> loss, saliency = input_saliency(
        ...     layer, params, xs, lambda state, ys: (ys[-1] ** 2).sum()
        ... )
        >>> saliency.shape
        (50, 5, 3)

    References:
        Simonyan, Vedaldi and Zisserman 2014, Deep inside convolutional networks:
        visualising image classification models and saliency maps,
        https://arxiv.org/abs/1312.6034
    """
    layer = as_layer(layer)
    xs = _inputs(xs)
    check_padding(xs, options.get("lengths"), options.get("mask"), layer.spatial_dims)
    return _input_saliency(layer, params, xs, loss, state, **options)


@compiled
def _input_saliency(layer, params, xs, loss, state, **options):
    def value(perturbations):
        return check_scalar_loss(
            loss(*layer.apply(params, plus(xs, perturbations), state, **options))
        )

    return jax.value_and_grad(value)(zeros_to_add(xs))


def integrated_gradients(
    layer: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    *,
    baseline: PyTree | None = None,
    points: SupportsIndex = 32,
    **options: Any,
) -> PyTree[Shaped[Array, "..."]]:
    """Contribution of each input to the loss, along a straight path from a baseline.

        A_t = (x_t - b_t) * integral_0^1 dL/dx_t (b + a (x - b)) da,
        sum_t A_t = L(x) - L(b)

    The integral is computed by Gauss-Legendre quadrature, point by point, so that
    memory does not grow with the number of points. The sum is exact if the gradient
    along the path is a polynomial of a degree below 2 `points`, and nearly exact if the
    gradient is smooth. With relu, whose gradient jumps, the error falls only as
    1 / `points`.

    Args:
        layer: Any `Cell`, or a recurrent layer.
        params: Parameters of the layer.
        xs: Inputs, [time, *batch, inputs], or a tree of inputs.
        loss: Function of the final state and all outputs, as `unroll` returns them, to
            a scalar. If the loss sums over the batch, the attributions of each sequence
            add up to the difference of its term.
        state: State before the first step, the same at all points of the path.
        baseline: Inputs without information, of a shape that broadcasts to xs, in a
            tree of the same structure; zeros by default.
        points: Number of points between baseline and inputs at which the gradient is
            evaluated.
        **options: Other options of `nets.unroll`. With `lengths` or a `mask`, the
            attribution of a padded step is zero.

    Returns:
        Attributions, like xs. In a tree of inputs, an entry of integers is constant
        along the path, and its attribution is zero.

    Raises:
        ValueError: `points` is below 1, the baseline does not fit the inputs, or as in
            `input_saliency`.

    Example:
        >>> import nets
        >>> cell = nets.lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (50, 5, 3))
        >>> def loss(state, ys):
        ...     return (ys[-1] ** 2).sum()
        >>> attributions = integrated_gradients(cell, params, xs, loss)
        >>> end = loss(*nets.unroll(cell, params, xs))
        >>> start = loss(*nets.unroll(cell, params, jnp.zeros_like(xs)))
        >>> bool(jnp.allclose(attributions.sum(), end - start, atol=1e-5))
        True

    References:
        Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, ICML,
        https://arxiv.org/abs/1703.01365
    """
    count = integer(points) or 0
    if count < 1:
        raise ValueError(
            f"expected points to be an integer, at least 1; got {points!r}"
        )
    xs = _inputs(xs)
    real = padding_mask(
        xs, options.get("lengths"), options.get("mask"), layer.spatial_dims
    )
    xs = select_valid(real, xs, 0.0)  # A NaN in the padding would reach the product.
    start = select_valid(real, _baseline(baseline, xs), 0.0)
    path = jax.tree.map(
        lambda x, s, zero: x - s if is_real(x) else zero, xs, start, zeros_to_add(xs)
    )

    nodes, weights = np.polynomial.legendre.leggauss(count)  # on [-1, 1]
    steps = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)
    return _integral(layer, params, start, path, steps, loss, state, **options)


@compiled
def _integral(layer, params, start, path, steps, loss, state, **options):
    """The path times the mean gradient at its points."""

    def add(total, point):
        node, weight = point
        here = plus(start, jax.tree.map(lambda w: node.astype(w.dtype) * w, path))
        _, gradients = input_saliency(layer, params, here, loss, state, **options)
        return jax.tree.map(
            lambda t, g: t + weight.astype(g.dtype) * g, total, gradients
        ), None

    mean, _ = jax.lax.scan(add, zeros_to_add(path), steps)
    return jax.tree.map(lambda w, g: (w * g).real, path, mean)


def zeros_to_add(tree: PyTree) -> PyTree:
    """Zeros like the given arrays, to differentiate with respect to what is added.

    Args:
        tree: Arrays, or their shapes and dtypes.

    Returns:
        A tree of zeros; float32 where it has integers.

    Example:
        >>> zeros_to_add(jnp.arange(3))
        Array([0., 0., 0.], dtype=float32)
    """
    return jax.tree.map(
        lambda a: jnp.zeros(a.shape, a.dtype if is_real(a) else jnp.float32), tree
    )


def plus(tree: PyTree, perturbations: PyTree) -> PyTree:
    """The sum of two trees; integers do not change.

    Args:
        tree: Arrays.
        perturbations: Arrays that are added to them.

    Returns:
        The sum.

    Example:
        >>> plus([jnp.ones(2), jnp.arange(2)], [jnp.ones(2), jnp.ones(2)])
        [Array([2., 2.], dtype=float32), Array([0, 1], dtype=int32)]
    """
    return jax.tree.map(lambda a, d: a + d if is_real(a) else a, tree, perturbations)


def _inputs(xs: PyTree) -> PyTree:
    """The inputs as arrays; an error if there is no float among them."""
    xs = jax.tree.map(jnp.asarray, xs)
    if not any(is_real(x) for x in jax.tree.leaves(xs)):
        raise ValueError(
            "expected inputs of floats, with respect to which a loss has a gradient; "
            f"got {[str(x.dtype) for x in jax.tree.leaves(xs)]}: embed tokens first, "
            "and give their embeddings"
        )
    return xs


def _baseline(baseline: PyTree | None, xs: PyTree) -> PyTree:
    """The start of the path, in the shape of the inputs; integers equal the inputs."""
    if baseline is None:
        return jax.tree.map(lambda x: jnp.zeros_like(x) if is_real(x) else x, xs)
    if jax.tree.structure(baseline) != jax.tree.structure(xs):
        raise ValueError(
            "expected a baseline of the structure of the inputs, "
            f"{jax.tree.structure(xs)}; got {jax.tree.structure(baseline)}"
        )

    def fit(given, x):
        shape = jnp.shape(given)
        fits = len(shape) <= x.ndim and all(
            size in (1, wanted)
            for size, wanted in zip(shape[::-1], x.shape[::-1], strict=False)
        )
        if not fits:
            raise ValueError(
                "expected a baseline of a shape that broadcasts to that of the inputs, "
                f"{list(x.shape)}; got {list(shape)}"
            )
        if not is_real(x):
            return x
        return jnp.broadcast_to(jnp.asarray(given, x.dtype), x.shape)

    return jax.tree.map(fit, baseline, xs)
