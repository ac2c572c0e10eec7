"""Checks of the options of `nets.unroll`."""

import operator
from typing import Any

import jax
import jax.numpy as jnp

from nets.recurrent.parallel.options import ParallelSolver
from nets.types import Cell, State


def count_steps(truncate: Any) -> int:
    """The option `truncate` as a Python integer.

    Args:
        truncate: An integer of any library.

    Returns:
        The integer.

    Raises:
        ValueError: It is not an integer of at least 1.

    Example:
        >>> count_steps(5)
        5
    """
    try:
        count = 0 if isinstance(truncate, bool) else operator.index(truncate)
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(
            f"expected truncate to be an integer, at least 1 step; got {truncate}"
        )
    return count


def check_combination(
    cell: Cell,
    stochastic: bool,
    parallel: bool | ParallelSolver,
    remat: bool,
    truncate: int | None,
    perturbations: State | None,
    untied: bool,
) -> None:
    """Check that the options can be combined.

    Args:
        cell: The cell.
        stochastic: Whether noise is drawn in each step.
        parallel: As in `nets.unroll`.
        remat: As in `nets.unroll`.
        truncate: As in `nets.unroll`.
        perturbations: As in `nets.unroll`.
        untied: As in `nets.unroll`.

    Raises:
        ValueError: They cannot.

    Example:
        >>> import nets
        >>> check_combination(nets.lru(), False, True, False, None, None, False)
    """
    associative = parallel is True
    if associative and cell.linear is None:
        raise ValueError(
            "expected a cell that is linear in its state, as `nets.lru()` is, to run "
            "in parallel over time; got one whose `linear` is None: unroll it with "
            "parallel='newton', which takes any cell, or with parallel=False"
        )
    if associative and (stochastic or truncate or perturbations is not None):
        raise ValueError(
            "expected parallel=True without truncate and perturbations, and without a "
            "key if the cell is stochastic; these options run step by step"
        )
    if parallel and not associative and (remat or truncate):
        raise ValueError(
            "expected a parallel solver without remat and truncate, which run step by "
            "step; to bound memory give it a window: nets.ParallelSolver(window=...)"
        )
    if untied and (stochastic or associative):
        raise ValueError(
            "expected untied=True without parallel=True, and without a key if the "
            "cell is stochastic"
        )


def check_perturbations(perturbations: State | None, state: State, time: Any) -> None:
    """Check that the perturbations are like the states of all steps.

    Args:
        perturbations: As in `nets.unroll`; None is not checked.
        state: State before the first step.
        time: Number of steps.

    Raises:
        ValueError: Structure or shapes differ.

    Example:
        >>> check_perturbations(jnp.zeros((5, 2)), jnp.zeros(2), 5)
    """
    if perturbations is None:
        return
    expected = jax.tree.map(lambda s: (time, *s.shape), state)
    got = jax.tree.map(jnp.shape, perturbations)
    if expected != got:
        raise ValueError(
            f"expected perturbations like the states of all steps, {expected}; "
            f"got {got}"
        )
