"""Options of `nets.unroll(parallel=...)`."""

import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from nets.recurrent.state_vectors import as_vector
from nets.types import State

METHODS = "backward", "newton", "quasi", "auto"

# Largest residual of a solution, relative to states above 1, by dtype.
TOLERANCES = {
    "float64": 1e-10,
    "float32": 1e-5,
    "float16": 2e-3,  # twice the spacing of the numbers at 1
    "bfloat16": 1.6e-2,
}


class ParallelSolver(NamedTuple):
    """Options of the parallel computation of a recurrence.

    Attributes:
        method: "newton" solves for all states by Newton's method, with the whole
            Jacobian of each step; "quasi" with its diagonal. "backward" runs the
            forward pass in a loop and the backward pass in parallel. "auto" chooses.
        tolerance: Largest residual of a solution, max over t and entries of
            |s_t - f(s_{t-1}, x_t)| / max(1, |s_t|). By default 1e-10 for float64, 1e-5
            for float32, and twice the precision of a narrower dtype.
        max_iterations: Largest number of iterations (of each window), by default the
            number of steps, after which the solution is exact.
        window: Number of steps that are solved at once. Windows are solved one after
            another. By default all steps are one window.
        damping: Number from 0 to below 1. The Jacobians are multiplied by 1 - damping,
            which keeps their products bounded where they grow.
        guess: Initial guess of the states after each step, [time, *batch, ...], such
            as the solution for slightly different parameters. By default f(s_{-1},
            x_t).
    """

    method: str = "newton"
    tolerance: float | None = None
    max_iterations: int | None = None
    window: int | None = None
    damping: float = 0.0
    guess: State | None = None


class Solve(NamedTuple):
    """Result of a solver.

    Attributes:
        iterations: Number of iterations, the sum over the windows.
        residual: Largest residual, as `ParallelSolver.tolerance` defines it.
        converged: True if the residual is within the tolerance. If the largest Lyapunov
            exponent is above 0, the states may still differ from those of a loop. The
            solver stops at the first window that does not converge, and where the
            recurrence itself is not finite in some sequence, as with NaN in the inputs.
    """

    iterations: Int[Array, ""]
    residual: Float[Array, ""]
    converged: Bool[Array, ""]


def no_iterations() -> Solve:
    """The result where nothing is solved.

    Returns:
        A `Solve` that has converged.

    Example:
        >>> no_iterations().iterations.item()
        0
    """
    return Solve(jnp.zeros((), int), jnp.zeros(()), jnp.array(True))


def as_solver(parallel: Any) -> bool | ParallelSolver:
    """The argument `parallel` of `nets.unroll`, checked.

    Args:
        parallel: A boolean, the name of a method, or a `ParallelSolver`.

    Returns:
        A boolean or a `ParallelSolver`.

    Raises:
        ValueError: It is none of these, or an option is out of range.

    Example:
        >>> as_solver("newton").method
        'newton'
    """
    if isinstance(parallel, bool | np.bool_):
        return bool(parallel)
    solver = ParallelSolver(parallel) if isinstance(parallel, str) else parallel
    names = ", ".join(map(repr, METHODS))
    if not isinstance(solver, ParallelSolver):
        raise ValueError(
            f"expected parallel to be False, True, {names} or a `ParallelSolver`; got "
            f"{parallel!r}"
        )
    if solver.method not in METHODS:
        raise ValueError(
            f"expected a parallel method among {names}; got {solver.method!r}"
        )
    if solver.tolerance is not None and not _number(solver.tolerance) >= 0:
        raise ValueError(f"expected a tolerance of at least 0; got {solver.tolerance}")
    if not 0 <= _number(solver.damping) < 1:
        raise ValueError(f"expected a damping from 0 to below 1; got {solver.damping}")
    return solver._replace(
        max_iterations=_count(solver.max_iterations, "max_iterations"),
        window=_count(solver.window, "window"),
    )


def default_tolerance(tree: Any) -> float:
    """Tolerance for the narrowest float of a tree.

    Args:
        tree: Arrays that a step reads.

    Returns:
        A number.

    Example:
        >>> default_tolerance([jnp.ones(2), jnp.ones(2, jnp.bfloat16)])
        0.016
    """
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(tree)]
    bits = [d for d in dtypes if jnp.issubdtype(d, jnp.inexact)]
    narrowest = max(bits, key=lambda d: float(jnp.finfo(d).eps))
    eps = float(jnp.finfo(narrowest).eps)
    for name, tolerance in TOLERANCES.items():
        if eps <= float(jnp.finfo(name).eps):
            return tolerance
    return 2 * eps


def check_state(state: State) -> None:
    """Check that a state can be solved for.

    Args:
        state: State before the first step.

    Raises:
        ValueError: An entry is not a real or complex number.

    Example:
        >>> check_state(jnp.zeros(3))
    """
    wrong = [s.dtype for s in jax.tree.leaves(state)]
    wrong = [d for d in wrong if not jnp.issubdtype(d, jnp.inexact)]
    if wrong:
        raise ValueError(
            "expected a state of real or complex numbers, which a solver can guess; "
            f"got an entry of {wrong[0]}: unroll the cell with parallel='backward', "
            "which runs forward in a loop"
        )


def guess_vector(
    guess: State, state: State, time: int, batch_axes: int
) -> Float[Array, "time *batch n"]:
    """Initial guess as vectors.

    Args:
        guess: States after each step.
        state: State before the first step.
        time: Number of steps.
        batch_axes: Number of batch axes.

    Returns:
        Vectors.

    Raises:
        ValueError: The guess is not like the states of all steps.

    Example:
        >>> guess_vector(jnp.ones((4, 2)), jnp.zeros(2), 4, 0).shape
        (4, 2)
    """
    expected = jax.tree.map(lambda s: (time, *s.shape), state)
    got = jax.tree.map(jnp.shape, guess)
    if expected != got:
        raise ValueError(
            f"expected a guess like the states of all steps, {expected}; got {got} "
            "(all cells of a layer get the same guess, so a stack of different cells "
            "cannot have one: unroll its cells one after another)"
        )
    guess = jax.tree.map(lambda g, s: jnp.asarray(g, s.dtype), guess, state)
    return as_vector(guess, 1 + batch_axes)


# Jacobians above this size are refused. The scan takes about three times as much
# memory, so these 48 GiB are most of the memory of a large accelerator.
LARGEST = 2**34


def check_memory(shape: tuple[Any, ...], dtype: Any) -> None:
    """Check that the Jacobians of all steps fit into memory.

    Args:
        shape: Shape of the Jacobians.
        dtype: Type of their entries.

    Raises:
        ValueError: They take more than 16 GiB.

    Example:
        >>> check_memory((1000, 32, 1, 64, 64), jnp.float32)
    """
    if not all(isinstance(size, int) for size in shape):
        return  # symbolic sizes
    size = math.prod(shape) * jnp.dtype(dtype).itemsize
    if size > LARGEST:
        window = max(1, shape[0] * LARGEST // (4 * size))
        fits = window * size <= shape[0] * LARGEST
        give = f"give a `window`, such as ParallelSolver(window={window}), or "
        raise ValueError(
            f"expected Jacobians of at most {LARGEST / 2**30:.0f} GiB; got "
            f"{size / 2**30:.0f} GiB for {shape[0]} steps at once and a state of "
            f"{shape[-1] * shape[-3]} numbers: {give if fits else ''}unroll with "
            "parallel=False"
        )


def _number(value: Any) -> float:
    """A Python number; nan for other values, a traced number included."""
    try:
        return math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _count(value: ArrayLike | None, name: str) -> int | None:
    """A Python integer of at least 1, or None."""
    if value is None:
        return None
    try:
        count = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"expected {name} to be an integer of at least 1; got {value}")
    return count
