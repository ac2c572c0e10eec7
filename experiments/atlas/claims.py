"""The answer, the tables and the claims of the atlas."""

import numpy as np

from experiments.atlas.rows import VIEW_NAMES, Analysis
from experiments.atlas.scores import (
    ALL,
    DEFAULTS,
    MEASURES,
    OUTCOMES,
    WITHIN,
    Estimate,
    Points,
    mean_over_features,
)
from experiments.harness.claims import Claim, judge
from experiments.harness.long_memory.tasks import TASKS

BOOTSTRAP = "95 % intervals by a bootstrap that draws whole cells"
FORETOLD = {
    "half-life": "The longer the gradient's half-life before training, the better a "
    "cell learns",
    "horizon": "The farther back the gradient reaches before training, the better a "
    "cell learns",
    "exponent near 0": "The closer the largest Lyapunov exponent is to 0 before "
    "training, the better a cell learns",
    "conditioning": "The better the product of Jacobians is conditioned before "
    "training, the better a cell learns",
    "highway share": "The larger the share of the gradient along the highway before "
    "training, the better a cell learns",
}
PARTIAL = "highway share"  # cells without tagged gates do not have it
LONG = 10  # steps of a half-life that the title of the map compares


def evaluate_claims(analysis: Analysis) -> list[Claim]:
    """The claims that the atlas can decide."""
    claims = [
        _claim(
            text,
            "Rank correlation over cells and initializations, by outcome; "
            f"{BOOTSTRAP}.",
            {name: analysis.estimate(measure, name) for name in OUTCOMES},
        )
        for measure, text in FORETOLD.items()
    ]
    claims.append(
        _claim(
            "Of the initializations of one cell, those with a longer half-life of the "
            "gradient learn better",
            "Rank correlation over the initializations of a cell, the mean over cells, "
            f"by outcome; {BOOTSTRAP}.",
            {name: analysis.estimate("half-life", name, WITHIN) for name in OUTCOMES},
        )
    )
    known = {name: p for name, p in analysis.predictions.items() if p is not None}
    claims += [
        _claim(
            "The best single measure predicts how a cell learns that is left out",
            "Share of the variance of ranks that is predicted, R^2, by outcome; "
            f"{BOOTSTRAP}.",
            {name: prediction.single for name, prediction in known.items()},
        ),
        _claim(
            "A sparse combination of the measures predicts cells that are left out "
            "better than the best single measure",
            f"Difference of R^2, by outcome; {BOOTSTRAP}.",
            {name: prediction.gain for name, prediction in known.items()},
        ),
    ]
    return [claim for claim in claims if claim is not None]


def _claim(text: str, evidence: str, cases: dict[str, Estimate]) -> Claim | None:
    """A claim that all estimates are positive; None if no estimate is known."""
    known = {name: e for name, e in cases.items() if np.isfinite(e.value)}
    if not known:
        return None
    judgment = judge(list(known.values()), estimate=Estimate.interval)
    return judgment.claim(text, evidence, known)


def mean_correlation(analysis: Analysis, measure: str, view: str = ALL) -> float:
    """Rank correlation of a measure, the mean over outcomes; nan if none is known."""
    values = [analysis.estimate(measure, name, view).value for name in OUTCOMES]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def mean_correlations(analysis: Analysis, view: str = ALL) -> dict[str, float]:
    """Known mean correlations of the measures that every cell has, by measure."""
    means = {measure: mean_correlation(analysis, measure, view) for measure in MEASURES}
    return {m: v for m, v in means.items() if np.isfinite(v) and m != PARTIAL}


def answer(analysis: Analysis) -> str:
    """The measure that foretells learning best, and how well."""
    means = mean_correlations(analysis)
    if not means:
        return "Too few cells, or outcomes that are all alike, for a correlation."
    best = max(means, key=lambda measure: means[measure])
    cases = len(OUTCOMES) * len(means)  # as the best of all measures is compared
    intervals = [analysis.estimate(best, name).interval(cases) for name in OUTCOMES]
    sure = sum(bounds.low > 0 for bounds in intervals)
    known = [p for p in analysis.predictions.values() if p is not None]
    left_out = ""
    if known:
        single = np.mean([p.single.value for p in known])
        sparse = np.mean([p.sparse.value for p in known])
        left_out = (
            " Cells that are left out are predicted with an R^2 of "
            f"{single:.2f} by the best single measure and {sparse:.2f} by a sparse "
            "combination, in the mean over outcomes (0: the mean of the other cells)."
        )
    return (
        f"Of the measures before training, {_worded(best)} foretells learning best: "
        f"rank correlation {means[best]:+.2f}, the mean over "
        f"outcomes; its interval is above 0 for {sure} of {len(intervals)}.{left_out}"
    )


def _worded(measure: str) -> str:
    """A measure in a sentence."""
    special = {
        "exponent near 0": "the nearness of the largest exponent to 0",
        "slow decay": "slow decay",
        "conditioning": "conditioning",
        "mean of 4 exponents": "the mean of the four largest exponents",
    }
    return special.get(measure, f"the {measure}")


def correlation_title(analysis: Analysis) -> str:
    """The finding: the best and the worst measure."""
    known = sorted((v, m) for m, v in mean_correlations(analysis).items())
    if not known:
        return "No rank correlation is known"
    (low, worst), (high, best) = known[0], known[-1]
    return (
        f"Learning is foretold best by {_worded(best)} (mean rank correlation "
        f"{high:+.2f}), least by {_worded(worst)} ({low:+.2f})"
    )


def map_title(atlas: Points) -> str:
    """The finding: at how many points the adding problem is solved, by half-life."""
    solved = np.isfinite(atlas.outcomes[:, 0])
    long = atlas.measures[:, list(MEASURES).index("half-life")] >= LONG
    parts = [
        f"{solved[group].sum()} of {group.sum()} points with a half-life {words}"
        for group, words in ((~long, f"below {LONG} steps"), (long, "above"))
        if group.any()
    ]
    return f"The adding problem is solved at {', at '.join(parts)}"


def prediction_title(analysis: Analysis) -> str:
    """The finding: how well cells that are left out are predicted."""
    known = [p for p in analysis.predictions.values() if p is not None]
    better = sum(p.gain.interval(len(known)).low > 0 for p in known)
    some = sum(p.single.interval(len(known)).low > 0 for p in known)
    return (
        f"For cells that are left out, the best measure predicts {some} of "
        f"{len(known)} outcomes\nbetter than the mean does, and a lasso predicts "
        f"{better} better than this measure"
    )


def findings(atlas: Points, analysis: Analysis) -> list[str]:
    """What holds and what does not, in sentences."""
    sentences = []
    for view in (DEFAULTS, WITHIN):
        means = mean_correlations(analysis, view)
        if means:
            best = max(means, key=lambda m: means[m])
            sentences.append(
                f"Over {VIEW_NAMES[view]}, {_worded(best)} correlates best: "
                f"{means[best]:+.2f}, the mean over outcomes; the half-life "
                f"{means['half-life']:+.2f}."
            )
    share = atlas.measures[:, list(MEASURES).index(PARTIAL)]
    part = atlas.at(np.isfinite(share))
    names = list(MEASURES)
    known = np.ma.masked_invalid(mean_over_features(part)) if len(part.cells) else None
    if known is not None and known.count():
        values = known.mean(axis=1).filled(np.nan)
        texts = {
            name: f"{values[names.index(name)]:+.2f}"
            for name in (PARTIAL, "half-life", "conditioning")
        }
        sentences.append(
            f"Over the {len(set(part.cells))} cells with tagged gates, the share "
            f"along the highway has a rank correlation of {texts[PARTIAL]}, the mean "
            f"over outcomes; the half-life {texts['half-life']}, conditioning "
            f"{texts['conditioning']}."
        )
    against = [
        f"{measure} ({name}, {bounds.text('{:+.2f}')})"
        for measure in MEASURES
        for name in OUTCOMES
        if (bounds := analysis.estimate(measure, name).interval(len(OUTCOMES))).high < 0
    ]
    if against:
        sentences.append(f"Against theory: {'; '.join(against)}.")
    default = atlas.at(atlas.default)
    for place, task in ((0, "adding problem"), (2, "temporal order problem")):
        if not len(default.cells):
            continue
        solved = np.isfinite(default.outcomes[:, place])
        never = [
            cell
            for cell in dict.fromkeys(default.cells)
            if not solved[default.cells == cell].any()
        ]
        count = len(set(default.cells)) - len(never)
        sentences.append(
            f"The {task} is solved by {count} of {count + len(never)} cells with their "
            f"default initialization{', not by ' * bool(never)}{', '.join(never)}."
        )
    return sentences


def copied(atlas: Points, length: int) -> str:
    """At how many points copy memory is learned, in one sentence.

    Args:
        atlas: The points.
        length: Number of blanks.
    """
    losses = -atlas.outcomes[:, list(OUTCOMES).index("copy memory, loss")]
    baseline = TASKS["copy_memory"].baseline(length)
    return (
        f"Copy memory is solved at {(losses == 0).sum()} of {len(losses)} points; at "
        f"{(losses < baseline).sum()} the loss is below {baseline:.3f}, that of the "
        "best prediction without memory."
    )
