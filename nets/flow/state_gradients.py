"""The gradient of a loss with respect to the state, at every step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from nets.flow.layers import zero_perturbations
from nets.recurrent import RecurrentLayer, as_layer
from nets.recurrent.padding import check_padding
from nets.types import Cell, Params, State


def state_gradients(
    cell: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    **options: Any,
) -> tuple[Float[Array, ""], State]:
    """The loss, and dL/ds_t for every step t, in one backward pass.

        g_t = dL/ds_t,   s_t = the whole state that leaves step t (h and c together)

    g_t is the total derivative: by the output of step t and by all that comes later. It
    is taken with respect to a perturbation of zero added to each s_t, so the cell needs
    no hooks, and any cell will do.

    The state's entries are coordinates of one vector, each moved with the others held:
    dL/dc_t of an LSTM leaves out c_t -> h_t inside step t, which PyTorch's
    `retain_grad` on the c of an LSTMCell counts in (and on a clone of it does not).

    The output of step t counts by what the step computes *from the arrays that it
    returns as state*: return `(h, c), h`, not one `tanh(...)` written twice, nor the h
    that was later cast or packed with others into one array. (The step is traced, and
    its program followed as it stands, through `jax.jit` and `jax.checkpoint`. Other
    operations with a program of their own, such as a `custom_vjp`, are taken whole.)

    Args:
        cell: Any `Cell`, or a recurrent layer: then the gradient by each cell's
            states counts what reaches the loss through the layers above.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs].
        loss: From what `unroll` returns, the final state and all outputs, to one
            number. If it sums over the batch, g_t of each sequence is its own loss's.
        state: The state before the first step.
        **options: Other arguments of `nets.unroll`, except `parallel`. With `lengths`
            or a `mask` the gradient at a padded step is zero; in `reverse`, g_t is
            still at the t of its input; with `all_states` the loss takes all states in
            place of the final one; `perturbations` move the point where it is taken.

    Returns:
        The loss, and its gradients, a state with time in front: [time, *batch, ...].
        An entry of the state that is an integer has the gradient zero. A layer's are a
        tree of states, as its `apply` returns them (see `by_cell`).

    Raises:
        ValueError: The loss is not one number, or as in `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.lstm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (50, 5, 3))
        >>> loss, gradients = state_gradients(
        ...     cell, params, xs, lambda state, ys: (ys[-1] ** 2).sum()
        ... )
        >>> gradients.hidden.shape, gradients.cell.shape
        ((50, 5, 8), (50, 5, 8))

    References:
        Bengio, Simard and Frasconi 1994, Learning long-term dependencies with gradient
        descent is difficult, IEEE Transactions on Neural Networks 5(2).
    """
    layer = as_layer(cell)
    check_padding(xs, options.get("lengths"), options.get("mask"), layer.spatial_dims)
    # What is compiled here is `nets.unroll`, so that a loss may be written in place:
    # it is another function in each call.
    perturbations = options.pop("perturbations", None)
    if perturbations is None:
        perturbations = zero_perturbations(layer, params, xs, state, **options)

    def value(perturbations):
        return check_scalar_loss(
            loss(
                *layer.apply(params, xs, state, perturbations=perturbations, **options)
            )
        )

    return jax.value_and_grad(value)(perturbations)


def is_real(leaf: Any) -> bool:
    """True for a leaf of real or complex numbers, which has a derivative.

    Args:
        leaf: An array, a number of Python, or anything else, such as a function.

    Returns:
        False for integers, booleans, keys and what is no array.

    Example:
        >>> [is_real(leaf) for leaf in (jnp.ones(2), 0.5, 3, jax.random.key(0), "relu")]
        [True, True, False, False, False]
    """
    if isinstance(leaf, (float, complex)):
        return True
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


def check_scalar_loss(loss: Any) -> Float[Array, ""]:
    """The loss, if it is one number.

    Args:
        loss: What a loss function returned.

    Returns:
        The same.

    Raises:
        ValueError: It is an array of several.

    Example:
        >>> check_scalar_loss(jnp.array(3.0)).item()
        3.0
    """
    if jnp.shape(loss) != ():
        raise ValueError(
            "expected a loss of one number, such as a sum over the batch; got an array "
            f"of shape {list(jnp.shape(loss))}"
        )
    return jnp.asarray(loss)
