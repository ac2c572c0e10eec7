"""The answer, the table and the findings of spectra."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.spectra.measure import SpectrumResult

NEAR = 0.01  # nats per step; an exponent this close to zero has a half-life above 69
ZERO = 1e-4  # nats per step; float32 does not resolve exponents below this value


def table(results: Sequence[SpectrumResult]) -> tables.Table:
    """Spectra, one row per cell and initialization."""
    header = [
        "cell, initialization",
        "dimension of the state",
        "largest exponent, nats/step",
        "its standard error",
        f"exponents within {NEAR} of zero, %",
        "mean exponent, nats/step",
        "directions lost, %",
        "half-life of the slowest direction, steps",
    ]
    rows = [
        [
            f"{result.cell}, {result.init}",
            str(result.exponents.shape[1]),
            mean_text(result.largest, "{:+.4f}"),
            mean_text(np.array([result.errors[:, 0].mean()]), "{:.4f}"),
            f"{100 * (np.abs(result.exponents) <= NEAR).mean():.0f}",
            mean_text(result.exponents.mean(axis=1), "{:+.3f}"),
            f"{100 * np.isneginf(result.exponents).mean():.0f}",
            half_life(float(result.largest.mean())),
        ]
        for result in results
    ]
    return tables.Table(header, rows)


def mean_text(values: Float[np.ndarray, " seeds"], form: str) -> str:
    """Mean and standard deviation over seeds; "-inf" if some seed is -inf."""
    if np.isneginf(values).any():
        return "-inf"
    text = tables.mean_and_deviation(values, form)
    return re.sub(r"^[+-](0\.0+)(?= |$)", r"\1", text)  # no sign before a zero


def half_life(rate: float) -> str:
    """Number of steps in which a difference is halved, as text.

    Args:
        rate: Rate of growth, nats per step.

    Returns:
        Number of steps; for a growing difference, the steps in which it doubles.

    Example:
        >>> half_life(-0.0693147), half_life(0.0693147), half_life(1e-7)
        ('10.0', '10.0 (grows)', 'above 6,931')
    """
    if np.isnan(rate):
        return "none"
    if abs(rate) < ZERO:
        return f"above {np.log(2) / ZERO:,.0f}"
    steps = f"{np.log(2) / abs(rate):.1f}"
    return steps if rate < 0 else f"{steps} (grows)"


def answer(results: Sequence[SpectrumResult]) -> str:
    """The answer to the question of the experiment, in one sentence."""
    lasting, best = lasting_starts(results), closest_start(results)
    if lasting:
        names = " and ".join(result.name for result in lasting)
        return f"A difference of the state lasts, in some direction, in {names}."
    if best is None:
        return "The seeds do not decide which cell keeps a difference most steadily."
    return f"{best.name} is closest to neither shrinking nor growing a difference."


def findings(results: Sequence[SpectrumResult]) -> list[str]:
    """Findings that hold for every seed, except the findings in the figure's title."""
    near = [r.name for r in results if (np.abs(r.largest) <= NEAR).all()]
    growing = [r.name for r in results if (r.largest > NEAR).all()]
    return [
        f"The largest exponent is within {NEAR} nats per step of zero for every seed: "
        f"{', '.join(near) or 'none'}.",
        f"The largest exponent is above {NEAR} nats per step for every seed, so that "
        f"differences explode: {', '.join(growing) or 'none'}.",
    ]


def titles(results: Sequence[SpectrumResult]) -> list[str]:
    """The one or two main findings."""
    return list(filter(None, [closest_to_zero(results), widest_range(results)]))


def _distances(results: Sequence[SpectrumResult]) -> list[Float[np.ndarray, " seeds"]]:
    """Distances of the largest exponents from zero; infinite where undefined."""
    return [np.nan_to_num(np.abs(result.largest), nan=np.inf) for result in results]


def lasting_starts(results: Sequence[SpectrumResult]) -> list[SpectrumResult]:
    """The results whose largest exponent is zero for every seed."""
    return [
        result
        for result, distance in zip(results, _distances(results), strict=True)
        if (distance < ZERO).all()
    ]


def closest_start(results: Sequence[SpectrumResult]) -> SpectrumResult | None:
    """The result closest to zero for every pair of seeds, if there is one."""
    distances = _distances(results)
    best = int(np.argmin([distance.mean() for distance in distances]))
    rest = np.concatenate([[np.inf], *distances[:best], *distances[best + 1 :]])
    return results[best] if distances[best].max() < rest.min() else None


def closest_to_zero(results: Sequence[SpectrumResult]) -> str:
    """The cell whose largest exponent is closest to zero, if no seed disagrees."""
    lasting, best = lasting_starts(results), closest_start(results)
    if lasting:
        names = " and ".join(result.name for result in lasting)
        return f"At initialization the largest exponent is 0.000 for {names}"
    if best is None:
        return "The cell whose largest exponent is closest to zero depends on the seed"
    return (
        f"The largest exponent closest to zero is that of {best.name}: "
        f"{best.largest.mean():+.4f} nats per step"
    )


def widest_range(results: Sequence[SpectrumResult]) -> str | None:
    """The cell whose half-life depends most on the initialization, for every seed."""
    largest_ratio, sentence = 1.0, None
    for cell in dict.fromkeys(result.cell for result in results):
        group = [
            result
            for result in results
            if result.cell == cell
            and (result.largest < -ZERO).all()
            and np.isfinite(result.largest).all()
        ]
        group.sort(key=lambda result: result.largest.mean())
        if not group or not group[0].largest.max() < group[-1].largest.min():
            continue
        fast, slow = (float(r.largest.mean()) for r in (group[0], group[-1]))
        if fast / slow > largest_ratio:
            largest_ratio = fast / slow
            sentence = (
                f"Initialization matters most for {cell}: its slowest direction halves "
                f"in {half_life(fast)} steps from {group[0].init}, in "
                f"{half_life(slow)} steps from {group[-1].init}"
            )
    return sentence
