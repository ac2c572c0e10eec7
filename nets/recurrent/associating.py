"""Linear cells in parallel over time, with padding."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from nets.linear_recurrence import elements_of, linear_scan
from nets.recurrent.chunks import root
from nets.recurrent.padding import pack_left, select_valid
from nets.recurrent.parallel.steps import in_windows
from nets.types import Cell, Params, State


def associate(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State,
    real: Bool[Array, "time *batch"] | None,
    reverse: bool,
    *,
    all_states: bool = True,
    remat: bool = False,
) -> tuple[State, Any]:
    """Run a cell that is linear in its state by `nets.linear_scan`.

    With `remat` there is one scan per chunk of about sqrt(time) steps, and one chunk
    after another. The backward pass keeps the states between chunks, and computes the
    factors and states of a chunk again.

    Args:
        cell: A `Cell` whose `linear` is given.
        params: Parameters of the cell.
        xs: Inputs of at least one step, [time, *batch, inputs].
        state: State before the first step.
        real: Mask of the real steps, [time, *leading batch axes]; None without padding.
        reverse: Read from the last step to the first.
        all_states: Return the states after each step instead of the last state.
        remat: Keep only some of the states for the backward pass.

    Returns:
        The states after each step or the last one, and the outputs, at the positions of
        the inputs.

    Example:
        >>> import nets
        >>> cell = nets.min_gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state = cell.initial_state(params, jnp.ones(3))
        >>> associate(cell, params, jnp.ones((10, 3)), state, None, False)[1].shape
        (10, 8)
    """
    assert cell.linear is not None

    def flip(tree):
        return jax.tree.map(lambda a: a[::-1], tree) if reverse else tree

    def unchanged(before, after):
        return after

    xs, real, first, back = flip(xs), flip(real), None, unchanged
    if real is not None:
        xs, back = pack_left(xs, real)
        number = jnp.arange(len(real)).reshape(-1, *[1] * (real.ndim - 1))
        first = number < real.sum(axis=0)[None]
    run = partial(_run, cell.linear, params)
    if remat:
        states, ys = _in_chunks(run, state, (xs, first), all_states)
    else:
        states, ys = run(state, (xs, first))
    nothing = jax.tree.map(lambda y: jnp.zeros_like(y[0]), ys)
    ys = flip(select_valid(real, back(nothing, ys), 0.0))
    if all_states:
        return flip(back(state, states)), ys
    return (states if remat else _last(back(state, states))), ys


def _last(states):
    """The state after the last step."""
    return jax.tree.map(lambda s: s[-1], states)


def _in_chunks(run, state, inputs, all_states):
    """The states, or the last one, and the outputs, in chunks that are recomputed."""

    def chunk(state, part):
        states, ys = run(state, part)
        return _last(states), (states if all_states else None, ys)

    steps = root(jax.tree.leaves(inputs)[0].shape[0])
    recomputed = jax.checkpoint(chunk, prevent_cse=False)
    end, (states, ys) = in_windows(recomputed, state, inputs, steps)
    return (states if all_states else end), ys


def _run(linear, params, state, part):
    """States and outputs of the steps of one part."""
    xs, real = part
    a, b = linear.coefficients(params, state, xs)
    if real is not None:
        # After the real steps the state is kept, or it could overflow.
        a = jax.tree.map(
            lambda _, element, a: _identity_in_padding(element, real, a),
            *(state, elements_of(linear.element, state), a),
        )
        b = select_valid(real, b, 0.0)
    states = linear_scan(a, b, state, linear.element)
    return states, linear.read(params, states, xs)


def _identity_in_padding(element, real, a):
    """Factors of the real steps, and factors that change no state in the padding."""
    a = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (*real.shape, *a.shape[real.ndim :])), a
    )
    return select_valid(real, a, element.identity(a))
