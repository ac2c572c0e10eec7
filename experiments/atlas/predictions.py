"""Prediction of how cells learn that are left out, from measures before training."""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LassoCV
from sklearn.model_selection import GroupKFold

from experiments.atlas.scores import DRAWS, MEASURES, Estimate, Points

FOLDS = 5  # of the cross-validation of the lasso's penalty


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
    as its mean. The cell that is left out has no part in the best single measure, its
    regression line, the lasso and its penalty (by cross-validation over cells), nor in
    the ranks of the other cells; its own ranks are its places among them.

    Args:
        atlas: The points.
        outcome: Index in `OUTCOMES`.

    Returns:
        A `Prediction`; None if the outcome is constant, or with fewer than 3 cells.

    References:
        Tibshirani 1996, Regression shrinkage and selection via the lasso,
        https://doi.org/10.1111/j.2517-6161.1996.tb02080.x
    """
    every = np.full(len(atlas.cells), True)
    x, y = _ranks(atlas, outcome, every)
    names = list(dict.fromkeys(atlas.cells))
    if np.ptp(y) == 0 or len(names) < 3:
        return None
    errors = []
    for name in names:
        out = atlas.cells == name
        xs, ys = _ranks(atlas, outcome, ~out)
        best, intercept, slope = _single(xs[~out], ys[~out])
        guesses = (
            ys[~out].mean(),
            intercept + slope * xs[out, best],
            _lasso(xs[~out], ys[~out], atlas.cells[~out]).predict(xs[out]),
        )
        errors.append([((ys[out] - guess) ** 2).sum() for guess in guesses])
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


def _ranks(
    atlas: Points, outcome: int, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of the measures and of an outcome among some of the points."""
    values = np.column_stack([atlas.measures, atlas.outcomes[:, outcome]])
    ranks = np.empty(values.shape)
    for units in np.unique(atlas.features):
        here = atlas.features == units
        for j, column in enumerate(values.T):
            ranks[here, j] = _rank(column[here], among[here])
    return ranks[:, :-1], ranks[:, -1]


def _rank(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Share of some values, other than itself, below each; ties half; 1/2 for nan."""
    others = np.sort(values[among & ~np.isnan(values)])
    count = len(others) - among
    below, not_above = (
        np.searchsorted(others, values, side) for side in ("left", "right")
    )
    share = (below + not_above - among) / 2 / np.maximum(count, 1)
    return np.where(np.isnan(values) | (count == 0), 0.5, share)


def _single(x: np.ndarray, y: np.ndarray) -> tuple[int, float, float]:
    """The measure that correlates best, and intercept and slope of its line."""
    centered, target = x - x.mean(axis=0), y - y.mean()
    squares = (centered**2).sum(axis=0)
    slopes = centered.T @ target / np.where(squares > 0, squares, 1)
    best = int((slopes**2 * squares).argmax())
    return best, float(y.mean() - slopes[best] * x[:, best].mean()), float(slopes[best])


def _lasso(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> LassoCV:
    """The lasso, whose penalty is chosen by cross-validation over cells."""
    folds = min(FOLDS, len(set(groups)))
    splits = list(GroupKFold(folds).split(x, y, groups))
    return LassoCV(cv=splits, max_iter=10_000).fit(x, y)
