"""Solve for the states of all steps, and report how."""

import numpy as np
from jaxtyping import Array, ArrayLike, PyTree, Shaped

from nets.recurrent.padding import array_like, check_padding, on_device
from nets.recurrent.parallel.options import ParallelSolver, Solve, as_solver
from nets.recurrent.restored_params import restored_for
from nets.recurrent.unrolling import unrolled
from nets.types import Cell, Params, State


def solve_states(
    cell: Cell,
    params: Params,
    xs: PyTree[Shaped[Array | np.ndarray, "..."]],
    state: State | None = None,
    *,
    solver: str | ParallelSolver = "newton",
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[State, Solve]:
    """Solve for the states of all steps at once, and report the iterations.

        s_t = f(s_{t-1}, x_t)    for t = 0 ... T - 1

    Unlike `nets.unroll` with the same solver, it does not fall back to a loop: if the
    solver does not converge, the states are those of the last iteration. In a chaotic
    cell, states with a small residual can differ from those of the loop: a difference
    within the tolerance grows over the steps, as a rounding error in the loop does.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs], of at least one step.
        state: State before the first step.
        solver: "newton", "quasi", or a `ParallelSolver` with one of these methods.
        lengths: As in `nets.unroll`.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`.

    Returns:
        The states after each step, [time, *batch, ...], and a `Solve` of the whole
        batch.

    Raises:
        ValueError: The method is neither "newton" nor "quasi", or as in `nets.unroll`.

    Example:
        >>> import jax, nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (100, 5, 3))
        >>> states, solve = solve_states(cell, params, xs)
        >>> bool(solve.converged), int(solve.iterations) < 20
        (True, True)

    References:
        Lim et al. 2024, Parallelizing non-linear sequential models over the sequence
        length, https://arxiv.org/abs/2309.12252
        Gonzalez et al. 2024, Towards scalable and stable parallelization of nonlinear
        RNNs, https://arxiv.org/abs/2407.19115
        Gonzalez et al. 2025, Predictability enables parallelization of nonlinear state
        space models, https://arxiv.org/abs/2508.16817
    """
    chosen = as_solver(solver)
    methods = "newton", "quasi"
    if not isinstance(chosen, ParallelSolver) or chosen.method not in methods:
        raise ValueError(
            "expected a solver with the method 'newton' or 'quasi'; got "
            f"{chosen.method if isinstance(chosen, ParallelSolver) else solver!r}"
        )
    params = restored_for(cell, params)
    params, xs = on_device((params, xs))
    lengths = None if lengths is None else array_like(lengths)
    mask = None if mask is None else array_like(mask)
    check_padding(xs, lengths, mask, cell.spatial_dims)
    states, _, solve = unrolled(
        cell,
        params,
        xs,
        state,
        lengths=lengths,
        mask=mask,
        reverse=reverse,
        all_states=True,
        key=None,
        parallel=chosen,
        remat=False,
        truncate=None,
        perturbations=None,
        untied=False,
        report=True,
    )
    return states, solve
