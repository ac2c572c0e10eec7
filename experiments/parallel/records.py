"""Measurements of trajectories, and statistics of many of them."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from nets import flow

BEFORE, DURING, AFTER = STAGES = "before", "during", "after"  # training
NEWTON, QUASI = METHODS = "newton", "quasi"


FEWEST = 5  # trajectories from which a coefficient of variation is computed


class Solved(NamedTuple):
    """How a solver ended.

    Attributes:
        iterations: Number of iterations.
        residual: Largest residual, as in `nets.ParallelSolver`.
        converged: Whether the residual is within the tolerance.
        error: Largest distance from the states of the loop, relative to the largest
            state.
    """

    iterations: Int[np.ndarray, "*rows"]
    residual: Float[np.ndarray, "*rows"]
    converged: Any
    error: Float[np.ndarray, "*rows"]


class Measured(NamedTuple):
    """Measurements along trajectories.

    Attributes:
        exponent: Largest Lyapunov exponent, nats per step.
        decay: Decay rate of the gradient of the loss at the end, nats per step.
        newton: End of Newton's method.
        quasi: End of the quasi-Newton method, with the diagonal of the Jacobian.
    """

    exponent: Float[np.ndarray, "*rows"]
    decay: Float[np.ndarray, "*rows"]
    newton: Solved
    quasi: Solved


class Trajectory(NamedTuple):
    """Measurements of one network along one sequence.

    Attributes:
        cell: Name of the cell.
        seed: Seed of the network.
        settings: Initialization and gain, or target of flossing, by name.
        stage: "before", "during" or "after" training.
        accuracy: Test accuracy after training, from 0 to 1.
        measured: The numbers.
    """

    cell: str
    seed: int
    settings: dict[str, Any]
    stage: str
    accuracy: float
    measured: Measured

    @property
    def exponent(self) -> float:
        """Largest Lyapunov exponent, nats per step."""
        return float(self.measured.exponent)

    @property
    def half_life(self) -> float:
        """Steps in which the gradient halves, or doubles if its rate is negative."""
        return float(flow.half_life(self.measured.decay))

    def solved(self, method: str = NEWTON) -> Solved:
        """End of a solver."""
        return getattr(self.measured, method)

    @property
    def network(self) -> tuple[Any, ...]:
        """The network, whose trajectories in several stages are not independent."""
        return self.cell, self.seed, *self.settings.values()

    def logged(self) -> dict[str, Any]:
        """The row of metrics.jsonl."""
        row = {"cell": self.cell, "seed": self.seed, "stage": self.stage}
        row |= self.settings
        row |= {"exponent": self.exponent, "decay": float(self.measured.decay)}
        for method in METHODS:
            end = self.solved(method)
            row[f"{method}_iterations"] = int(end.iterations)
            row[f"{method}_residual"] = float(end.residual)
            row[f"{method}_converged"] = bool(end.converged)
            row[f"{method}_error"] = float(end.error)
        return row


def known(rows: Sequence[Trajectory]) -> list[Trajectory]:
    """Trajectories with a finite exponent: a network that diverged has none."""
    return [row for row in rows if np.isfinite(row.exponent)]


Rows = Sequence[Trajectory]


def by(rows: Rows, key: Callable[[Trajectory], Hashable]) -> dict[Any, list]:
    """Trajectories by a key, in the order of their first.

    Example:
        >>> by([], lambda row: row.cell)
        {}
    """
    groups: dict[Hashable, list[Trajectory]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def networks(rows: Rows) -> list[list[Trajectory]]:
    """Trajectories by network, which is drawn as a whole by the bootstrap."""
    return list(by(rows, lambda row: row.network).values())


def right(rows: Rows, method: str = NEWTON) -> float:
    """Share of the trajectories that converge and have an exponent below 0, or neither.

    Args:
        rows: Trajectories.
        method: The solver.

    Returns:
        A number from 0 to 1.
    """
    agree = [bool(r.solved(method).converged) == (r.exponent < 0) for r in rows]
    return float(np.mean(agree))


def stable(rows: Rows, method: str = NEWTON) -> list[Trajectory]:
    """Trajectories that converge, after one iteration or more, to an exponent below 0.

    Args:
        rows: Trajectories.
        method: The solver.

    Returns:
        Some of the trajectories.
    """
    return [
        row
        for row in rows
        if row.solved(method).converged
        and row.solved(method).iterations > 0
        and row.exponent < 0
    ]


def variation(rows: Rows, method: str = NEWTON) -> float:
    """Coefficient of variation of iterations x |exponent|.

    Args:
        rows: Trajectories.
        method: The solver.

    Returns:
        Standard deviation divided by the mean; nan for fewer than two trajectories.
    """
    if len(rows) < 2:
        return np.nan
    products = [row.solved(method).iterations * -row.exponent for row in rows]
    return float(np.std(products, ddof=1) / np.mean(products))


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation; nan for fewer than two pairs, or if one is constant.

    Example:
        >>> rank_correlation([(1, 10), (2, 30), (3, 20)])
        0.5
    """
    if len(pairs) < 2:
        return np.nan
    first, second = (stats.rankdata(values) for values in zip(*pairs, strict=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(round(np.corrcoef(first, second)[0, 1], 12))


def effort(row: Trajectory, method: str = NEWTON) -> float:
    """Iterations; infinite if the solver has not converged."""
    end = row.solved(method)
    return float(end.iterations) if end.converged else np.inf
