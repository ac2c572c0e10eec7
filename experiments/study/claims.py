"""The answer, the claims and the table of a study."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.harness import plotting, tables
from experiments.harness.claims import Claim, judge
from experiments.study.measure import CellResult, Member

WORDS = {
    "learning_rate": "learning rate",
    "clip_norm": "clip norm",
    "gain": "gain",
    "forget_bias": "forget bias",
    "dropout": "dropout",
}


def seeds_of(result: CellResult) -> list[int]:
    """The seeds of a study."""
    return list(dict.fromkeys(member.seed for member in result.members))


def by_setting(result: CellResult, values: np.ndarray) -> np.ndarray:
    """Values of all members, [settings, seeds]."""
    return np.reshape(values, (-1, len(seeds_of(result))))


def settings_of(result: CellResult) -> list[Member]:
    """The first member of each setting."""
    return list(result.members[:: len(seeds_of(result))])


def best_setting(result: CellResult) -> int:
    """Index of the setting with the highest mean accuracy."""
    return int(by_setting(result, result.accuracy).mean(axis=1).argmax())


def trained_share(result: CellResult, least: float) -> np.ndarray:
    """Share of the settings with which each seed trains, [seeds]."""
    trained = (result.accuracy >= least) & (result.diverged == 0)
    return by_setting(result, trained.astype(float)).mean(axis=0)


def varied(studied: Sequence[CellResult]) -> list[str]:
    """Names of the settings with several values."""
    members = [member for result in studied for member in result.members]
    values = {name: {getattr(m, name) for m in members} - {None} for name in WORDS}
    return [name for name in WORDS if len(values[name]) > 1]


def described(member: Member, axes: Sequence[str]) -> str:
    """The settings of a member that differ in the study, as text."""
    return ", ".join(
        f"{WORDS[name]} {value:g}"
        for name, value in member.settings.items()
        if name in axes
    )


def answer(studied: Sequence[CellResult], least: float) -> str:
    """The answer: in how many settings each cell trains, and its gradient there."""
    shares = ", ".join(
        f"{trained_share(result, least).mean():.0%} of the settings of "
        f"{plotting.written(result.cell)}"
        for result in studied
    )
    decays = ", ".join(
        tables.mean_and_deviation(
            by_setting(result, result.after)[best_setting(result)], "{:+.3f}"
        )
        for result in studied
    )
    return (
        f"An accuracy of {least:.0%} is reached in {shares}. With the best setting, "
        f"the decay rate of the trained gradient is {decays} nats per step."
    )


def title(studied: Sequence[CellResult], least: float) -> str:
    """The finding: in how many settings each cell trains."""
    parts = ", ".join(
        f"{plotting.written(r.cell)} {trained_share(r, least).mean():.0%}"
        for r in studied
    )
    return f"Settings with a held-out accuracy of {least:.0%} or more: {parts}"


def table(
    studied: Sequence[CellResult], axes: Sequence[str], least: float
) -> tables.Table:
    """The best and the worst setting of each cell, one row each."""
    header = [
        "cell",
        "setting",
        "test accuracy, %",
        "decay before, nats/step",
        "decay after, nats/step",
        "settings that train, %",
        "diverged members",
    ]
    rows = []
    for result in studied:
        accuracy = by_setting(result, result.accuracy)
        order = accuracy.mean(axis=1).argsort()
        for name, i in (("best", int(order[-1])), ("worst", int(order[0]))):
            before, after = (
                by_setting(result, v)[i] for v in (result.before, result.after)
            )
            whole = name == "best"
            share = f"{100 * trained_share(result, least).mean():.0f}"
            rows.append(
                [
                    f"{result.cell}, {name}",
                    described(settings_of(result)[i], axes) or "all",
                    tables.mean_and_deviation(100 * accuracy[i], "{:.1f}"),
                    tables.mean_and_deviation(before, "{:+.3f}"),
                    tables.mean_and_deviation(after, "{:+.3f}"),
                    share if whole else "",
                    str(int((result.diverged > 0).sum())) if whole else "",
                ]
            )
    return tables.Table(header, rows)


def evaluate_claims(studied: Sequence[CellResult], least: float) -> list[Claim]:
    """The claims that the grid can decide."""
    return [
        claim for make in (cells_claim, decay_claim) for claim in make(studied, least)
    ] + [
        claim
        for name, text, pick in CONTRASTS
        for claim in contrast_claim(studied, name, text, pick)
    ]


def cells_claim(studied: Sequence[CellResult], least: float) -> list[Claim]:
    """Claim that all cells train in more settings than the first."""
    first, *others = studied
    if not others:
        return []
    base, name = trained_share(first, least), plotting.written(first.cell)
    cases = [100 * (trained_share(result, least) - base) for result in others]
    return [
        judge(cases).claim(
            f"The other cells train in more settings than {name}",
            f"Settings with a held-out accuracy of {least:.0%} or more: difference of "
            "their shares, in percentage points.",
            (f"{result.cell} - {first.cell}" for result in others),
            "{:+.1f}",
        )
    ]


def decay_claim(studied: Sequence[CellResult], least: float) -> list[Claim]:
    """Claim that cells learn better where their gradient decays less at the start."""
    cases, names = [], []
    for result in studied:
        before = by_setting(result, result.before)
        accuracy = by_setting(result, result.accuracy)
        starts = [(m.gain, m.forget_bias) for m in settings_of(result)]
        groups = list(dict.fromkeys(starts))
        index = [[s == group for s in starts] for group in groups]
        decay = np.array([before[rows].mean(axis=0) for rows in index])
        score = np.array([accuracy[rows].mean(axis=0) for rows in index])
        if len(groups) < 3 or not np.isfinite(decay).all():
            continue
        if (np.ptp(decay, axis=0) == 0).any() or (np.ptp(score, axis=0) == 0).any():
            continue  # without ranks
        cases.append(
            [
                -stats.spearmanr(*pair).statistic  # pyright: ignore
                for pair in zip(decay.T, score.T, strict=True)
            ]
        )
        names.append(result.cell)
    if not cases:
        return []
    return [
        judge(cases).claim(
            "The more slowly the gradient of the untrained cell decays, the higher its "
            "accuracy after training",
            "Rank correlation of minus the decay rate and the accuracy, over the gains "
            "and forget biases; accuracies are means over the other settings.",
            names,
        )
    ]


def _largest(values: Sequence[float]) -> list[tuple[float, float]]:
    """The largest value, against the smallest."""
    return [(max(values), min(values))]


def _one(values: Sequence[float]) -> list[tuple[float, float]]:
    """1, against every other value."""
    return [(1.0, value) for value in values if value != 1] if 1 in values else []


def _clipped(values: Sequence[float]) -> list[tuple[float, float]]:
    """The smallest norm, against no clipping or the largest norm."""
    norms = sorted(value or np.inf for value in values)
    return [(norms[0], 0.0 if np.isinf(norms[-1]) else norms[-1])]


CONTRASTS: list[tuple[str, str, Callable[[Any], list[tuple[float, float]]]]] = [
    ("gain", "A gain of 1 learns better than every other gain", _one),
    (
        "forget_bias",
        "The largest bias of the forget gate learns better than the smallest",
        _largest,
    ),
    ("clip_norm", "The smallest clip norm learns better than the largest", _clipped),
    ("dropout", "Dropout raises the held-out accuracy", _largest),
]


def contrast_claim(
    studied: Sequence[CellResult],
    name: str,
    text: str,
    pick: Callable[[Any], list[tuple[float, float]]],
) -> list[Claim]:
    """Claim that one value of a setting is better than another."""
    cases, names = [], []
    for result in studied:
        accuracy = by_setting(result, result.accuracy)
        values = [member.settings.get(name) for member in settings_of(result)]
        known = list(dict.fromkeys(value for value in values if value is not None))
        if len(known) < 2:
            continue
        for better, worse in pick(known):
            means = [
                accuracy[[value == which for value in values]].mean(axis=0)
                for which in (better, worse)
            ]
            cases.append(100 * (means[0] - means[1]))
            names.append(f"{result.cell}, {better:g} - {worse:g}")
    if not cases:
        return []
    return [
        judge(cases).claim(
            text,
            f"Difference of the held-out accuracy in percentage points, by "
            f"{WORDS[name]}; means over the other settings.",
            names,
            "{:+.1f}",
        )
    ]
