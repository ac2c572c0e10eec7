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

    g_t is the total derivative, through the output of step t and through all later
    steps. It is the gradient by a zero perturbation added to each s_t, so it needs no
    hooks in the cell and works for any cell.

    The entries of the state are coordinates of one vector, each of which is varied
    while all other entries are fixed. So dL/dc_t of an LSTM excludes c_t -> h_t inside
    step t. PyTorch's `retain_grad` on the c of an LSTMCell includes it (on a clone of c
    it does not).

    Compute the output from the arrays you return as state; only then is its share of
    dL/ds_t seen. Return `(h, c), h`, and not a second `tanh(...)`, nor an h that is
    later cast or packed into another array. (The step is traced, and its program is
    followed through `jax.jit` and `jax.checkpoint`. Other operations that contain a
    program, such as a `custom_vjp`, are treated as one operation.)

    Args:
        cell: Any `Cell`, or a recurrent layer. In a layer the gradient by the states of
            a cell includes all paths through the layers above.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        loss: Function from the final state and all outputs, as `unroll` returns them,
            to a scalar. If it is a sum over the batch, g_t of each sequence is the
            gradient of its own loss.
        state: State before the first step.
        **options: Other options of `nets.unroll`, except `parallel=True`. With
            `parallel="backward"` all g_t are computed by one associative scan. With
            `lengths` or a `mask` the gradient at a padded step is zero. With `reverse`,
            g_t has the index t of its input. With `all_states` the loss takes all
            states instead of the final one. `perturbations` shift the states at which
            the gradient is taken.

    Returns:
        The loss, and its gradients, a state with time in front: [time, *batch, ...].
        The gradient by an integer entry of the state is zero. For a layer they have the
        structure of its states (see `by_cell`).

    Raises:
        ValueError: The loss is not a scalar, or as in `nets.unroll`.

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
    # Only `nets.unroll` is compiled here, as a loss written in place is a new function
    # in each call.
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
    """Check that a loss is a scalar.

    Args:
        loss: Result of a loss function.

    Returns:
        The loss.

    Raises:
        ValueError: The loss is an array of several numbers.

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
