"""All statistics of an atlas, and tables of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.atlas.predictions import Prediction, predict
from experiments.atlas.scores import (
    ALL,
    DEFAULTS,
    MEASURES,
    OUTCOMES,
    VIEWS,
    WITHIN,
    Estimate,
    Points,
    correlations,
)
from experiments.harness.tables import Table

LONGEST = 10_000  # half-life that is written out
VIEW_NAMES = {
    ALL: "cells and initializations",
    DEFAULTS: "cells, each with its default initialization",
    WITHIN: "initializations of one cell, mean over cells",
}


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


def tables_of(atlas: Points, analysis: Analysis) -> dict[str, Table]:
    """The tables of the report."""
    result = {
        f"Rank correlations over {VIEW_NAMES[view]}": correlation_table(analysis, view)
        for view in analysis.views
    }
    result["Prediction of cells that are left out"] = prediction_table(analysis)
    units = atlas.features.max()
    result[f"Cells with their default initialization, {units} units"] = cell_table(
        atlas.at(atlas.default & (atlas.features == units))
    )
    return result


def correlation_table(analysis: Analysis, view: str) -> Table:
    """Rank correlations with intervals, one row per measure."""
    rows = [
        [
            measure,
            *(
                _text(analysis.estimate(measure, name, view), "{:+.2f}")
                for name in OUTCOMES
            ),
        ]
        for measure in MEASURES
    ]
    return Table(["measure", *OUTCOMES], rows)


def _text(estimate: Estimate, form: str) -> str:
    """An estimate with its interval."""
    if not np.isfinite(estimate.value):
        return "-"
    return estimate.interval().text(form)


def prediction_table(analysis: Analysis) -> Table:
    """Predictions of cells that are left out, one row per outcome."""
    header = [
        "outcome",
        "best single measure",
        "its R^2",
        "R^2 of the sparse combination",
        "difference",
        "weights",
    ]
    rows = []
    for name, prediction in analysis.predictions.items():
        if prediction is None:
            rows.append([name, *["-"] * 5])
            continue
        weights = sorted(prediction.weights.items(), key=lambda pair: -abs(pair[1]))
        rows.append(
            [
                name,
                prediction.chosen,
                _text(prediction.single, "{:.2f}"),
                _text(prediction.sparse, "{:.2f}"),
                _text(prediction.gain, "{:+.2f}"),
                ", ".join(f"{m} {w:+.2f}" for m, w in weights) or "none",
            ]
        )
    return Table(header, rows)


def cell_table(atlas: Points) -> Table:
    """Measures and outcomes, one row per point."""
    header = ["cell", *MEASURE_HEADERS, *OUTCOME_HEADERS]
    rows = [
        [cell, *measure_texts(measures), *outcome_texts(outcomes)]
        for cell, measures, outcomes in zip(
            atlas.cells, atlas.measures, atlas.outcomes, strict=True
        )
    ]
    return Table(header, rows)


MEASURE_HEADERS = [
    "decay rate",
    "half-life, steps",
    "horizon, steps",
    "largest exponent",
    "mean of 4",
    "conditioning",
    "highway share",
]
OUTCOME_HEADERS = [
    "adding, steps",
    "loss",
    "temporal order, steps",
    "loss ",
    "copy memory, loss",
]


def measure_texts(measures: Sequence[float]) -> list[str]:
    """Measures of a point as text, with the signs of the quantities themselves."""
    values = dict(zip(MEASURES, measures, strict=True))
    long, far = values["half-life"] >= LONGEST, np.isinf(values["horizon"])
    texts = [
        f"{-values['slow decay'] + 0.0:+.3f}",
        f"> {LONGEST:,}" if long else _steps(values["half-life"]),
        "none" if far else f"{values['horizon']:.0f}",
        f"{values['largest exponent']:+.3f}",
        f"{values['mean of 4 exponents']:+.3f}",
        f"{-values['conditioning'] + 0.0:.3f}",
        f"{values['highway share']:.2f}",
    ]
    return ["-" if "nan" in text else text for text in texts]


def _steps(value: float) -> str:
    """A number of steps in three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def outcome_texts(outcomes: Sequence[float]) -> list[str]:
    """Outcomes of a point as text."""
    texts = []
    for name, value in zip(OUTCOMES, outcomes, strict=True):
        if name.endswith("steps"):
            texts.append("not solved" if np.isinf(value) else f"{-value:.0f}")
        else:
            texts.append(f"{-value:.3g}" if value else "solved")
    return texts
