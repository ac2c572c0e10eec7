"""Statistics of the atlas: which measures before training foretell learning."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from experiments.atlas.records import Row
from experiments.harness import cells
from experiments.harness.intervals import LEVEL, Interval

# Each measure is larger where theory expects better learning.
MEASURES: dict[str, Callable[[Row], float]] = {
    "slow decay": lambda row: -row.decay_rate,
    "half-life": lambda row: row.half_life,
    "horizon": lambda row: row.horizon,
    "largest exponent": lambda row: row.exponent,
    "exponent near 0": lambda row: -abs(row.exponent),
    "mean of 4 exponents": lambda row: row.exponents,
    "conditioning": lambda row: -row.conditioning,
    "highway share": lambda row: row.highway_share,
}
# Each outcome is larger where a network learns better. The loss distinguishes networks
# that have not solved a task; once it is solved, the loss counts as 0.
OUTCOMES: dict[str, Callable[[Row], float]] = {
    "adding, steps": lambda row: -row.adding_steps,
    "adding, loss": lambda row: -_left(row.adding_steps, row.adding_loss),
    "temporal order, steps": lambda row: -row.temporal_order_steps,
    "temporal order, loss": lambda row: (
        -_left(row.temporal_order_steps, row.temporal_order_loss)
    ),
    "copy memory, loss": lambda row: (
        -_left(row.copy_memory_steps, row.copy_memory_loss)
    ),
}
ALL, DEFAULTS, WITHIN = VIEWS = "all", "cells", "initializations"
FEWEST = 4  # initializations of a cell whose order is compared
DRAWS = 2000  # of the bootstrap
FEWEST_CELLS = 6  # of a bootstrap: the signs of 5 agree by chance in 2 / 2^5 = 6 %


def _left(steps: float, loss: float) -> float:
    """The loss that is left; 0 if the task is solved."""
    return 0.0 if np.isfinite(steps) else loss


class Points(NamedTuple):
    """Medians over seeds, one point per cell, initialization and number of units.

    Attributes:
        cells: Names of the cells.
        inits: Names of the initializations.
        features: Numbers of units.
        measures: Values of `MEASURES`; nan if a cell does not have one.
        outcomes: Values of `OUTCOMES`; -inf for a task that is not solved.
    """

    cells: np.ndarray
    inits: np.ndarray
    features: Int[np.ndarray, " points"]
    measures: Float[np.ndarray, "points measures"]
    outcomes: Float[np.ndarray, "points outcomes"]

    def at(self, index: np.ndarray) -> "Points":
        """Some of the points."""
        return Points(*(part[index] for part in self))

    @property
    def default(self) -> np.ndarray:
        """Whether each point has the default initialization of its cell."""
        defaults = {
            cell: cells.initializer_name(cell, cells.OWN, 0) for cell in set(self.cells)
        }
        pairs = zip(self.cells, self.inits, strict=True)
        return np.array([defaults[cell] == init for cell, init in pairs])


class Estimate(NamedTuple):
    """A statistic, and its values in draws of the bootstrap.

    Attributes:
        value: The statistic of all cells.
        draws: The statistic of cells drawn with replacement.
    """

    value: float
    draws: Float[np.ndarray, " draws"]

    def interval(self, cases: int = 1) -> Interval:
        """Confidence interval by percentiles.

        Args:
            cases: As in `intervals.interval`.

        Returns:
            An `Interval`, infinite if the statistic has no draws.
        """
        known = self.draws[np.isfinite(self.draws)]
        if not len(known):
            return Interval(self.value, -np.inf, np.inf)
        tail = (1 - LEVEL) / cases / 2
        low, high = np.quantile(known, [tail, 1 - tail])
        return Interval(self.value, float(low), float(high))


def points(rows: Sequence[Row]) -> Points:
    """Medians over seeds.

    Args:
        rows: Rows, one per network.

    Returns:
        The points, in the order of their first rows.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.network[:3], []).append(row)

    def medians(quantities):
        values = [
            [[read(row) for read in quantities.values()] for row in group]
            for group in groups.values()
        ]
        # An order statistic: of an even number, the mean could be of infinities.
        return np.array(
            [np.sort(of_point, axis=0)[(len(of_point) - 1) // 2] for of_point in values]
        )

    names, inits, features = zip(*groups, strict=True)
    return Points(
        np.array(names),
        np.array(inits),
        np.array(features),
        medians(MEASURES),
        medians(OUTCOMES),
    )


def rank_correlations(
    x: Float[np.ndarray, "points measures"], y: Float[np.ndarray, "points outcomes"]
) -> Float[np.ndarray, "measures outcomes"]:
    """Spearman's rank correlation of each column of x with each of y.

    Args:
        x: Numbers; points that are nan in a column are left out of it.
        y: Numbers without nan.

    Returns:
        Correlations; nan where fewer than three points are left, or where one of the
        two columns is constant.

    Example:
        >>> x, y = np.array([[1.0], [2.0], [3.0]]), np.array([[10.0], [30.0], [20.0]])
        >>> rank_correlations(x, y).round(6).tolist()
        [[0.5]]
    """
    result = np.full((x.shape[1], y.shape[1]), np.nan)
    missing = np.isnan(x)
    for pattern in np.unique(missing, axis=1).T:  # columns with the same points
        columns = (missing == pattern[:, None]).all(axis=0)
        if (~pattern).sum() < 3:
            continue
        a, b = (stats.rankdata(part[~pattern], axis=0) for part in (x[:, columns], y))
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        sizes = np.sqrt(np.outer((a**2).sum(axis=0), (b**2).sum(axis=0)))
        result[columns] = np.where(
            sizes > 0, a.T @ b / np.where(sizes, sizes, 1), np.nan
        )
    return result


def correlations(atlas: Points, view: str = ALL) -> list[list[Estimate]]:
    """Rank correlations of measures and outcomes, the mean over numbers of units.

    The bootstrap draws whole cells, as points of one cell depend on each other. A
    correlation that fewer than `FEWEST_CELLS` cells determine has no draws.

    Args:
        atlas: The points.
        view: "all" for all points; "cells" for one point per cell, with its default
            initialization; "initializations" for the mean of the correlations within
            each cell that has at least `FEWEST` initializations.

    Returns:
        Estimates, [measures][outcomes].
    """
    if view == DEFAULTS:
        atlas = atlas.at(atlas.default)
    if not len(atlas.cells):  # none has its default initialization
        return [[Estimate(np.nan, np.zeros(0))] * len(OUTCOMES)] * len(MEASURES)
    names = list(dict.fromkeys(atlas.cells))
    groups = [np.flatnonzero(atlas.cells == name) for name in names]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(groups), (DRAWS, len(groups)))
    if view == WITHIN:
        each = np.array([_within(atlas.at(group)) for group in groups])
        known = np.isfinite(each)
        value, draws = _mean(each), [_mean(each[draw]) for draw in drawn]
    else:
        there = [~np.isnan(atlas.measures[group]).all(axis=0) for group in groups]
        known = np.array(there)[..., None]
        value = mean_over_features(atlas)
        draws = [
            mean_over_features(atlas.at(np.concatenate([groups[i] for i in draw])))
            for draw in drawn
        ]
    enough = known.sum(axis=0) >= FEWEST_CELLS
    samples = np.where(enough, np.array(draws), np.nan)
    return [
        [Estimate(float(v), samples[:, i, j]) for j, v in enumerate(of_measure)]
        for i, of_measure in enumerate(value)
    ]


def mean_over_features(atlas: Points) -> Float[np.ndarray, "measures outcomes"]:
    """Rank correlations of measures and outcomes, the mean over numbers of units.

    Args:
        atlas: The points.

    Returns:
        Correlations; nan where none is known.
    """
    parts = [atlas.at(atlas.features == units) for units in np.unique(atlas.features)]
    return _mean(
        np.array([rank_correlations(part.measures, part.outcomes) for part in parts])
    )


def _within(atlas: Points) -> np.ndarray:
    """Correlations over the initializations of one cell, nan if there are too few."""
    few = len(set(atlas.inits)) < FEWEST
    return mean_over_features(atlas) * (np.nan if few else 1.0)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is known; nan where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
