"""Run a recurrence in parallel over time, with a parallel derivative."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import PyTree

from nets.recurrent.linear_step import replaced
from nets.recurrent.parallel.choosing import (
    candidates,
    choice,
    largest_exponent,
    most_iterations,
    sizes_of,
)
from nets.recurrent.parallel.jacobians import from_blocks, jacobian_blocks, to_blocks
from nets.recurrent.parallel.options import (
    ParallelSolver,
    Solve,
    check_memory,
    check_state,
    guess_vector,
    no_iterations,
)
from nets.recurrent.parallel.recurrence import block_scan
from nets.recurrent.parallel.solving import solve
from nets.recurrent.parallel.steps import Steps, before_each, in_windows, steps_of
from nets.recurrent.scanning import scan
from nets.recurrent.state_vectors import as_state, as_vector
from nets.types import State


def run_in_parallel(
    body: Callable[[State, Any], tuple[State, Any]],
    state: State,
    inputs: PyTree,
    solver: ParallelSolver,
    *,
    batch_axes: int,
    reverse: bool = False,
    fallback: bool = True,
) -> tuple[State, Any, Solve]:
    """Run the body of a scan in parallel over time.

    The derivative of the states is a linear recurrence, whatever computed the states:

        ds_t = A_t ds_{t-1} + u_t,    A_t = df/ds,    u_t = df/dx dx_t + df/dp dp

    with the parameters p. It is solved by one associative scan. The transpose, which
    reverse mode runs, is one scan from the last step to the first, and one VJP of f
    for all steps.

    Args:
        body: `state, out = body(state, x)`.
        state: Initial state, [*batch, ...].
        inputs: Arrays [time, ...] of at least one step.
        solver: Method and options.
        batch_axes: Number of batch axes. Sequences do not depend on each other.
        reverse: Read from the last step to the first.
        fallback: Run the loop if the solver does not converge.

    Returns:
        The states after each step and the outputs, [time, ...], and the `Solve`.

    Example:
        >>> body = lambda s, x: (jnp.tanh(s + x),) * 2
        >>> solver = ParallelSolver("newton")
        >>> states, _, result = run_in_parallel(
        ...     body, jnp.zeros(1), jnp.ones((9, 1)), solver, batch_axes=0
        ... )
        >>> bool(result.converged), states.shape
        (True, (9, 1))
    """

    def flip(tree):
        return jax.tree.map(lambda a: a[::-1], tree) if reverse else tree

    state, xs, guess = jax.tree.map(jnp.asarray, state), flip(inputs), None
    if solver.method != "backward":
        check_state(state)
    if solver.guess is not None:
        time = jax.tree.leaves(xs)[0].shape[0]
        guess = flip(guess_vector(solver.guess, state, time, batch_axes))
    plain, plain_consts = steps_of(body, state, xs, batch_axes)
    with jax.default_matmul_precision("highest"):
        steps, consts = steps_of(body, state, xs, batch_axes)
    run = partial(_primal, plain, steps, solver._replace(guess=None), fallback)
    run = _with_parallel_derivative(run, steps, solver.window)
    leaves = jax.tree.leaves((state, xs))
    count = steps.states
    states, ys, result = run(
        (plain_consts, guess), consts, leaves[:count], leaves[count:]
    )
    states, ys = flip(jax.tree.unflatten(steps.tree, [*states, *ys]))
    return states, ys, result


def _primal(plain: Steps, steps: Steps, solver, fallback, others, consts, first, xs):
    """States, outputs and the `Solve`."""
    plain_consts, guess = others

    def loop():
        def body(state, x):
            state, y = plain.one(plain_consts, state, x)
            return state, (state, y)

        return scan(body, first, xs)[1]

    if solver.method == "backward":
        return (*loop(), no_iterations())
    if solver.method == "auto":
        out = _fastest(steps, solver, loop, consts, first, xs, guess)
        return (*out, no_iterations())
    out, result = solve(steps, consts, first, xs, guess, solver)
    if fallback:
        out = jax.lax.cond(result.converged, lambda: out, loop)
    return (*out, result)


def _fastest(steps: Steps, solver, loop, consts, first, xs, guess):
    """States and outputs, by the fastest method at the exponent of the first steps."""
    sizes = sizes_of(steps, first, xs)
    methods = [] if sizes is None else candidates(sizes)
    if sizes is None or not methods:
        return loop()

    def solved(method):
        limit = min(solver.max_iterations or sizes.time, most_iterations(method, sizes))
        now = solver._replace(method=method, max_iterations=limit)
        out, result = solve(steps, consts, first, xs, guess, now)
        return jax.lax.cond(result.converged, lambda: out, loop)

    exponent = largest_exponent(steps, consts, first, xs)
    branches = [loop, *(partial(solved, method) for method in methods)]
    return jax.lax.switch(choice(exponent, methods, sizes), branches)


def _with_parallel_derivative(run: Callable[..., Any], steps: Steps, window):
    """A function whose derivative is one linear recurrence."""

    @jax.custom_jvp
    def function(others, consts, first, xs):
        return run(others, consts, first, xs)

    @partial(function.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        _, consts, first, xs = primals
        states, ys, result = function(*primals)
        by = [_moving(part) for part in tangents[1:]]
        along = [
            [t[i] for i in where] for t, where in zip(tangents[1:], by, strict=True)
        ]
        by_consts, by_first, by_inputs = along
        start = [
            by_first[by[1].index(i)] if i in by[1] else jnp.zeros_like(s)
            for i, s in enumerate(first)
        ]
        start = as_vector(start, steps.batch_axes)
        before = before_each(first, states)

        def tangent(start, part):
            return _tangents(steps, by, consts, by_consts, start, *part)

        with jax.default_matmul_precision("highest"):
            _, (by_states, by_ys) = in_windows(
                # Nothing of a Jacobian is kept from the forward pass.
                jax.checkpoint(tangent, prevent_cse=False),
                start,
                (before, xs, by_inputs),
                window,
            )
        moved = as_state(by_states, states)
        zero = jax.tree.map(lambda a: np.zeros(a.shape, jax.dtypes.float0), result)
        zero = zero._replace(residual=jnp.zeros_like(result.residual))
        return (states, ys, result), (_fill(states, moved), _fill(ys, by_ys), zero)

    return function


def _tangents(steps: Steps, by, consts, by_consts, start, before, xs, by_inputs):
    """Tangents of the last state, and of the states and outputs, of one window."""
    vector = steps.vector(before)

    def advance(vector, consts=consts, xs=xs):
        states, ys = steps.all(consts, as_state(vector, before), xs)
        return steps.vector(states), [y for y in ys if _is_real(y)]

    def directly(some_consts, some_inputs):
        now = replaced(consts, by[0], some_consts), replaced(xs, by[2], some_inputs)
        return advance(vector, *now)

    shape = (*vector.shape[:-1], vector.shape[-1] // steps.block)
    check_memory((*shape, steps.block, steps.block), vector.dtype)
    a = jacobian_blocks(lambda v: advance(v)[0], vector, steps.block)
    at = [consts[i] for i in by[0]], [xs[i] for i in by[2]]
    _, (u, by_ys) = jax.jvp(directly, at, (by_consts, by_inputs))
    b = to_blocks(u, steps.block)
    moved = jnp.matmul(a[0], to_blocks(start, steps.block)[..., None])[..., 0]
    by_states = from_blocks(block_scan(a, b.at[0].add(moved)))
    _, by_states_alone = jax.jvp(
        lambda v: advance(v)[1], [vector], [before_each(start, by_states)]
    )
    by_ys = [d + e for d, e in zip(by_ys, by_states_alone, strict=True)]
    return by_states[-1], (by_states, by_ys)


def _moving(tangents: Sequence[Any]) -> list[int]:
    """Positions of the tangents that are not known to be zero."""
    return [
        i
        for i, tangent in enumerate(tangents)
        if not isinstance(tangent, SymbolicZero) and tangent.dtype != jax.dtypes.float0
    ]


def _fill(values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of all values: zeros of type float0 for integers."""
    if len(tangents) < len(values):
        rest = iter(tangents)
        tangents = [next(rest) if _is_real(v) else v for v in values]
    return [
        t if _is_real(v) else np.zeros(v.shape, jax.dtypes.float0)
        for v, t in zip(values, tangents, strict=True)
    ]


def _is_real(leaf: Any) -> bool:
    """True for an array of real or complex numbers."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
