"""Solve a nonlinear recurrence for all states at once."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.recurrent.parallel.jacobians import (
    from_blocks,
    jacobian_blocks,
    jacobian_diagonal,
    to_blocks,
)
from nets.recurrent.parallel.options import (
    ParallelSolver,
    Solve,
    check_memory,
    default_tolerance,
)
from nets.recurrent.parallel.recurrence import block_scan
from nets.recurrent.parallel.steps import Steps, before_each, in_windows
from nets.recurrent.state_vectors import as_state

BOUND = 1e8  # largest entry of an iterate, so that squares and products stay finite


def solve(
    steps: Steps,
    consts: list[Array],
    first: list[Array],
    xs: list[Array],
    guess: Float[Array, "time *batch n"] | None,
    solver: ParallelSolver,
) -> tuple[tuple[list[Array], list[Array]], Solve]:
    """Solve s_t = f(s_{t-1}, x_t) for all t, by Newton's method.

        A_t = df/ds at (s_{t-1}, x_t)
        s'_t = f(s_{t-1}, x_t) + A_t (s'_{t-1} - s_{t-1})    for the next iterate s'

    This linear recurrence is an associative scan. After i iterations the first i states
    are exact. Convergence is quadratic near the solution with the whole A_t, and linear
    with its diagonal ("quasi").

    A state that is not finite is replaced by f(s_{t-1}, x_t), or by the guess if this
    is not finite either. States from the first step to the first residual above
    rounding are kept, so that rounding errors of the later ones do not reach them.

    Args:
        steps: The steps.
        consts: Constants of their program.
        first: State before the first step.
        xs: Inputs of each step.
        guess: Initial guess, as vectors.
        solver: Method and options.

    Returns:
        The states and outputs of all steps, and the `Solve`. The states are f of the
        solution, so an output that is computed from the new state agrees with it.
    """
    if solver.tolerance is None:
        solver = solver._replace(tolerance=default_tolerance([consts, first, xs]))

    def run(carry, part):
        state, (iterations, residual, converged) = carry
        (states, ys), now = _solve_window(
            steps, consts, state, *part, solver=solver, active=converged
        )
        total = Solve(
            iterations + now.iterations,
            jnp.maximum(residual, now.residual),
            converged & now.converged,
        )
        return ([s[-1] for s in states], total), (states, ys)

    dtype = steps.vector([s[None] for s in first]).dtype
    start = Solve(jnp.zeros((), int), jnp.zeros((), dtype), jnp.array(True))
    with jax.default_matmul_precision("highest"):
        (_, result), out = in_windows(run, (first, start), (xs, guess), solver.window)
    return out, result


def _solve_window(steps: Steps, consts, first, xs, guess, *, solver, active):
    """States and outputs of the steps of one window, and the `Solve`."""
    time = jax.tree.leaves(xs)[0].shape[0]
    shapes = [jax.ShapeDtypeStruct((time, *s.shape), s.dtype) for s in first]
    function = steps.vectors(consts, shapes, xs)
    start = steps.vector([s[None] for s in first])[0]
    if guess is None:
        guess = function(jnp.broadcast_to(start, (time, *start.shape)))
    n, axes = start.shape[-1], start.shape[:-1]
    block = 1 if solver.method == "quasi" else steps.block
    check_memory((time, *axes, n // block, block, block), start.dtype)
    limit = solver.max_iterations or time
    before = partial(before_each, start)

    def improve(carry):
        states, after, iterations, _ = carry
        states = _next(
            function, before(states), states, after, guess, steps.block, solver
        )
        after = function(before(states))
        return states, after, iterations + 1, _largest(states, after)

    def unsolved(carry):
        states, after, iterations, residual = carry
        far = ~(residual <= solver.tolerance)  # also if it is NaN
        return active & far & (iterations < limit) & ~lost(states, after, residual)

    def lost(states, after, residual):
        finite = jnp.isfinite(residual)
        check = partial(_no_solution, tolerance=solver.tolerance)
        # Not a constant: both branches vary over the devices of a mesh.
        return jax.lax.cond(finite, lambda *_: ~finite, check, states, after)

    after = function(before(guess))
    start = guess, after, jnp.zeros((), int), _largest(guess, after)
    states, _, iterations, residual = jax.lax.while_loop(unsolved, improve, start)
    residual = jnp.where(jnp.isnan(residual), jnp.inf, residual)
    out = steps.all(consts, as_state(before(states), shapes), xs)
    return out, Solve(iterations, residual, residual <= solver.tolerance)


def _residual(states, after):
    """Differences, relative to states above 1."""
    return jnp.abs(after - states) / jnp.maximum(1, jnp.abs(states))


def _largest(states, after):
    """Largest residual; 0 without sequences."""
    return _residual(states, after).max(initial=0)


def _no_solution(states, after, tolerance):
    """True if some sequence is solved up to a step whose new state is not finite."""
    far = ~(_residual(states, after) <= tolerance).all(axis=-1)
    first = far & (jnp.cumsum(far, axis=0) == 1)
    return (first & ~jnp.isfinite(after).all(axis=-1)).any()


def _next(function, before, states, after, guess, block, solver):
    """The next iterate."""
    rounding = 4 * float(jnp.finfo(states.dtype).eps)
    exact = (_residual(states, after) <= rounding).all(axis=-1, keepdims=True)
    exact = jnp.cumprod(exact, axis=0, dtype=jnp.int8) > 0
    errors = jnp.where(exact, 0, after - states)
    if solver.method == "quasi":
        a = jacobian_diagonal(function, before, block)[..., None, None]
        block = 1
    else:
        a = jacobian_blocks(function, before, block)
    a = (1 - solver.damping) * a
    change = block_scan(a, to_blocks(errors, block), growing=False)
    shifted = before_each(jnp.zeros_like(change[0]), change)
    # after - states + states would lose the digits of a small state after a large one.
    moved = jnp.matmul(a, shifted[..., None], precision="highest")[..., 0]
    new = after + from_blocks(moved)
    new = jnp.where(jnp.isfinite(new), new, after)
    new = jnp.where(jnp.isfinite(new), new, guess)
    return jnp.where(exact, states, jnp.clip(new, -BOUND, BOUND))
