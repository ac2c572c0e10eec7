"""Statistics of the atlas: which measures before training foretell learning."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from sklearn.linear_model import Lasso, LassoCV
from sklearn.model_selection import GroupKFold

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
# Each outcome is larger where a network learns better.
OUTCOMES: dict[str, Callable[[Row], float]] = {
    "adding, steps": lambda row: -row.adding_steps,
    "adding, loss": lambda row: -row.adding_loss,
    "temporal order, steps": lambda row: -row.temporal_order_steps,
    "temporal order, loss": lambda row: -row.temporal_order_loss,
    "copy memory, loss": lambda row: -row.copy_memory_loss,
}
ALL, DEFAULTS, WITHIN = VIEWS = "all", "cells", "initializations"
FEWEST = 4  # initializations of a cell whose order is compared
DRAWS = 2000  # of the bootstrap
FOLDS = 5  # of the cross-validation of the lasso's penalty


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

    The bootstrap draws whole cells, as points of one cell depend on each other.

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
    names = list(dict.fromkeys(atlas.cells))
    groups = [np.flatnonzero(atlas.cells == name) for name in names]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(groups), (DRAWS if len(groups) > 2 else 0, len(groups)))
    if view == WITHIN:
        each = np.array([_within(atlas.at(group)) for group in groups])
        value, draws = _mean(each), [_mean(each[draw]) for draw in drawn]
    else:
        value = _by_features(atlas)
        draws = [
            _by_features(atlas.at(np.concatenate([groups[i] for i in draw])))
            for draw in drawn
        ]
    samples = np.array(draws).reshape(len(draws), *value.shape)
    return [
        [Estimate(float(v), samples[:, i, j]) for j, v in enumerate(of_measure)]
        for i, of_measure in enumerate(value)
    ]


def _by_features(atlas: Points) -> np.ndarray:
    """Correlations, the mean over numbers of units."""
    parts = [atlas.at(atlas.features == units) for units in np.unique(atlas.features)]
    return _mean(
        np.array([rank_correlations(part.measures, part.outcomes) for part in parts])
    )


def _within(atlas: Points) -> np.ndarray:
    """Correlations over the initializations of one cell, nan if there are too few."""
    few = len(set(atlas.inits)) < FEWEST
    return _by_features(atlas) * (np.nan if few else 1.0)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is known; nan where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class Prediction(NamedTuple):
    """Prediction of one outcome for cells that are left out.

    Attributes:
        single: Share of the variance of ranks that the best single measure predicts.
        sparse: Share that a sparse combination predicts.
        gain: Their difference.
        chosen: The measure that is best over all cells.
        weights: Weights of the sparse combination of all cells, by measure, if not 0.
    """

    single: Estimate
    sparse: Estimate
    gain: Estimate
    chosen: str
    weights: dict[str, float]


def predict(atlas: Points, outcome: int) -> Prediction | None:
    """Predict an outcome of each cell from the measures of all other cells.

        R^2 = 1 - sum (y - prediction)^2 / sum (y - mean of the other cells)^2

    y are ranks of the outcome, and predictors ranks of the measures, both within the
    networks of as many units, from 0 to 1. A measure that a cell does not have counts
    as its mean. The best single measure, its regression line, and the lasso with its
    penalty (by cross-validation over cells) are determined without the cell that is
    left out.

    Args:
        atlas: The points.
        outcome: Index in `OUTCOMES`.

    Returns:
        A `Prediction`; None if the outcome is constant, or with fewer than 3 cells.

    References:
        Tibshirani 1996, Regression shrinkage and selection via the lasso,
        https://doi.org/10.1111/j.2517-6161.1996.tb02080.x
    """
    x = _ranks(atlas.measures, atlas.features)
    y = _ranks(atlas.outcomes[:, [outcome]], atlas.features)[:, 0]
    names = list(dict.fromkeys(atlas.cells))
    if np.ptp(y) == 0 or len(names) < 3:
        return None
    errors = []
    for name in names:
        out = atlas.cells == name
        single, sparse = (
            _single(x[~out], y[~out]),
            _lasso(x[~out], y[~out], atlas.cells[~out]),
        )
        guesses = (
            y[~out].mean(),
            single[1] + x[out][:, single[0]] * single[2],
            sparse.predict(x[out]),
        )
        errors.append([((y[out] - guess) ** 2).sum() for guess in guesses])
    sums = np.array(errors)
    drawn = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))
    totals = np.stack([sums.sum(axis=0), *sums[drawn].sum(axis=1)])
    r2 = 1 - totals[:, 1:] / totals[:, :1]
    lasso = _lasso(x, y, atlas.cells)
    measures = list(MEASURES)
    return Prediction(
        Estimate(float(r2[0, 0]), r2[1:, 0]),
        Estimate(float(r2[0, 1]), r2[1:, 1]),
        Estimate(float(r2[0, 1] - r2[0, 0]), r2[1:, 1] - r2[1:, 0]),
        measures[_single(x, y)[0]],
        {
            measure: float(weight)
            for measure, weight in zip(measures, lasso.coef_, strict=True)
            if weight
        },
    )


def _ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ranks within groups, from 0 to 1; 1/2 for nan."""
    result = np.full(values.shape, 0.5)
    for group in np.unique(groups):
        for j in range(values.shape[1]):
            here = np.flatnonzero((groups == group) & ~np.isnan(values[:, j]))
            if len(here) > 1:
                ranks = stats.rankdata(values[here, j]) - 1
                result[here, j] = ranks / (len(here) - 1)
    return result


def _single(x: np.ndarray, y: np.ndarray) -> tuple[int, float, float]:
    """The measure that correlates best, and intercept and slope of its line."""
    centered, target = x - x.mean(axis=0), y - y.mean()
    squares = (centered**2).sum(axis=0)
    slopes = centered.T @ target / np.where(squares > 0, squares, 1)
    best = int((slopes**2 * squares).argmax())
    return best, float(y.mean() - slopes[best] * x[:, best].mean()), float(slopes[best])


def _lasso(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Lasso | LassoCV:
    """The lasso, whose penalty is chosen by cross-validation over cells."""
    folds = min(FOLDS, len(set(groups)))
    splits = list(GroupKFold(folds).split(x, y, groups))
    return LassoCV(cv=splits, max_iter=10_000).fit(x, y)


class Analysis(NamedTuple):
    """All statistics of an atlas.

    Attributes:
        views: Rank correlations by view, [measures][outcomes].
        predictions: Predictions of cells that are left out, by outcome; None for an
            outcome that is constant.
    """

    views: dict[str, list[list[Estimate]]]
    predictions: dict[str, Prediction | None]

    def estimate(self, measure: str, outcome: str, view: str = ALL) -> Estimate:
        """One rank correlation."""
        place = list(MEASURES).index(measure)
        return self.views[view][place][list(OUTCOMES).index(outcome)]


def analyze(atlas: Points) -> Analysis:
    """All statistics of an atlas.

    Args:
        atlas: The points.

    Returns:
        An `Analysis`.
    """
    return Analysis(
        {view: correlations(atlas, view) for view in VIEWS},
        {name: predict(atlas, place) for place, name in enumerate(OUTCOMES)},
    )
