"""The gradient of a loss with respect to the state, at every step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree, Shaped

from nets.flow.perturbed import perturbed
from nets.recurrent import unroll
from nets.types import Cell, Params, State


def state_gradients(
    cell: Cell,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    loss: Callable[[State, Any], Float[Array, ""]],
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
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
    that was later cast or packed with others into one array; see `perturbed`.

    Args:
        cell: Any `Cell`.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs].
        loss: From what `unroll` returns, the final state and all outputs, to one
            number. If it sums over the batch, g_t of each sequence is its own loss's.
        state: The state before the first step.
        lengths: As in `unroll`; the gradient at a padded step is zero.
        mask: As in `unroll`, likewise.
        reverse: As in `unroll`; g_t still stands at the t of its input.

    Returns:
        The loss, and its gradients, a state with time in front: [time, *batch, ...].
        An entry of the state that is an integer has the gradient zero.

    Raises:
        ValueError: The loss is not one number, or as in `unroll`.

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
    held = perturbed(cell)

    options = {"lengths": lengths, "mask": mask, "reverse": reverse}

    def final(xs):
        return unroll(cell, params, xs, state, **options)

    time = jax.tree.leaves(xs)[0].shape[0]
    deltas = jax.tree.map(
        lambda s: jnp.zeros(
            (time, *s.shape),
            s.dtype if jnp.issubdtype(s.dtype, jnp.inexact) else jnp.float32,
        ),
        jax.eval_shape(final, xs)[0],
    )

    def perturbed_loss(deltas):
        end, ys = unroll(held, params, (xs, deltas), state, **options)
        value = loss(end, ys)
        if jnp.shape(value) != ():
            raise ValueError(
                "expected a loss of one number, such as a sum over the batch; got an "
                f"array of shape {list(jnp.shape(value))}"
            )
        return value

    return jax.value_and_grad(perturbed_loss)(deltas)
