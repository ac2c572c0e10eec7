"""The claims, the findings and the table on polyphonic music."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
    positive,
    within,
)
from experiments.music.measure import CellResult, Continuation

# Nats per step on the test pieces: published by Bai, Kolter and Koltun 2018; and
# measured in PyTorch with 20,000 parameters, before this experiment existed.
BAI = {"elman": 8.91, "lstm": 8.45, "gru": 8.43}
BEFORE = {
    "elman": 8.63,
    "lstm": 8.54,
    "gru": 8.70,
    "independent": 11.09,
    "markov": 10.49,
}
# Mean difference between these two measurements of the same cell. Cells that differ by
# less are not ranked.
TOLERANCE = 0.2
GOAL = 8.8  # nats per step, to be reached by networks this small


LEARNS = {  # by the outcome of `beats`
    SUPPORTED: "Yes: every cell predicts the next chord better than a Markov chain",
    PARTLY_SUPPORTED: "Only some cells reliably predict the next chord better than a "
    "Markov chain",
    INCONCLUSIVE: "The seeds do not decide whether the cells predict the next chord "
    "better than a Markov chain",
    REFUTED: "No: the cells predict the next chord no better than a Markov chain",
}
MATTERS = {  # by the outcome of `rank`
    SUPPORTED: "the cell hardly matters",
    PARTLY_SUPPORTED: "the cell hardly matters for some pairs of cells",
    INCONCLUSIVE: "the seeds do not decide whether the cell matters",
    REFUTED: "the cell matters",
}


def answer(studies: Sequence[CellResult], markov: float) -> str:
    """The answer to the question of the experiment, in one sentence."""
    learns = LEARNS[beats(studies, markov).outcome]
    if len(studies) == 1:
        return f"{learns}."
    return f"{learns}; {MATTERS[rank(studies).outcome]}."


def evaluate_claims(
    studies: Sequence[CellResult], markov: float, published: bool
) -> list[Claim]:
    """The claims; those on published losses only for the published data."""
    claims = [beats(studies, markov)]
    if len(studies) > 1:
        claims.append(rank(studies))
    published_cells = [study for study in studies if published and study.cell in BAI]
    if published_cells:
        claims += [reaches(published_cells), matches_published(published_cells)]
    return claims


def beats(studies: Sequence[CellResult], markov: float) -> Claim:
    """The claim that each cell beats one Markov chain per key."""
    judgment = judge([markov - study.test for study in studies])
    return judgment.claim(
        "Recurrent nets learn polyphonic music: each cell beats a first-order Markov "
        "chain per key",
        "Loss of the Markov chain minus that of the cell, in nats per step.",
        (study.cell for study in studies),
    )


def rank(studies: Sequence[CellResult]) -> Claim:
    """The claim that all pairs of cells differ by less than the tolerance."""
    pairs = list(itertools.combinations(studies, 2))
    judgment = judge(
        [a.test - b.test for a, b in pairs], partial(within, tolerance=TOLERANCE)
    )
    ranked = [
        f"{a.cell} and {b.cell}"
        for (a, b), difference in zip(pairs, judgment.intervals, strict=True)
        if difference.low > 0 or difference.high < 0
    ]
    order = "The seeds rank no pair"
    if ranked:
        order = f"The seeds rank {', '.join(ranked)} on these test pieces"
    return judgment.claim(
        f"The cells differ by less than {TOLERANCE} nats, the difference between "
        "published measurements of one cell",
        f"Difference of the losses, in nats per step. {order}.",
        (f"{a.cell} minus {b.cell}" for a, b in pairs),
    )


def reaches(studies: Sequence[CellResult]) -> Claim:
    """The claim that each cell reaches the goal."""
    judgment = judge([GOAL - study.test for study in studies])
    return judgment.claim(
        f"Some 20,000 parameters are enough for {GOAL} nats per step",
        "Nats per step by which the loss is below this goal.",
        (f"{study.cell}, {study.parameters:,} parameters" for study in studies),
    )


def matches_published(studies: Sequence[CellResult]) -> Claim:
    """The claim that the cells match the published losses, within the tolerance."""
    judgment = judge(
        [BAI[study.cell] - study.test for study in studies],
        partial(positive, threshold=-TOLERANCE),
    )
    return judgment.claim(
        f"Each cell reaches the loss that Bai 2018 published, to within {TOLERANCE} "
        "nats",
        "Nats per step by which the loss is below the published one.",
        (study.cell for study in studies),
    )


def title(studies: Sequence[CellResult], floors: Mapping[str, float]) -> str:
    """The finding: the range of the losses, and whether all cells beat the chain."""
    markov = floors["markov"]
    outcomes = judge(
        [markov - study.test for study in studies]
    ).outcomes  # as in `beats`
    cells = [study.cell for study in studies]
    better = [
        cell
        for cell, outcome in zip(cells, outcomes, strict=True)
        if outcome == SUPPORTED
    ]
    worse = [cell for cell in cells if cell not in better]
    if worse:
        return (
            f"{and_then(worse)} do{'es' if len(worse) == 1 else ''} not reliably beat "
            f"a first-order Markov chain ({markov:.2f} nats)"
        )
    means = [study.test.mean() for study in studies]
    low, high = f"{min(means):.2f}", f"{max(means):.2f}"
    span = low if low == high else f"{low} to {high}"
    return (
        f"{and_then(better)} predict{'s' if len(better) == 1 else ''} the next "
        f"chord at {span} nats, a first-order Markov chain at {markov:.2f}"
    )


def and_then(names: Sequence[str]) -> str:
    """Names joined by commas and "and".

    Example:
        >>> and_then(["elman", "lstm", "gru"])
        'elman, lstm and gru'
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def overfit(studies: Sequence[CellResult]) -> str:
    """The finding on overfitting: the gap to training, and the final rise."""
    risen = {
        study.cell: (study.valid[-1] - study.best_valid).mean() for study in studies
    }
    gaps = [study.best_valid - study.best_train for study in studies]
    text = f"Validation pieces cost {np.mean(gaps):.2f} nats more than training pieces"
    worse = [f"{cell} by {rise:.2f}" for cell, rise in risen.items() if rise >= 0.01]
    if worse:
        return f"{text}; after the best step the loss rises: {', '.join(worse)}"
    return f"{text}, and their loss does not rise again"


def table(
    studies: Sequence[CellResult], floors: Mapping[str, float], published: bool
) -> tables.Table:
    """Losses, one row per baseline and one row per cell.

    Args:
        studies: Results, one per cell.
        floors: Losses of the baselines, in nats, by name.
        published: Whether the data are those of `BAI` and `BEFORE`.
    """
    header = [
        "model",
        "units",
        "parameters",
        "best step",
        "training, nats",
        "validation, nats",
        "test, nats",
        "test, earlier measurement",
        "test, Bai 2018",
        "ms per step",
    ]
    rows = []
    for name, nats in floors.items():
        before = published_loss(BEFORE, name, published)
        rows.append([f"baseline: {name}", *"-----", f"{nats:.2f}", before, "-", "-"])
    for study in studies:
        steps = study.best_step
        losses = [
            tables.mean_and_deviation(costs, "{:.2f}")
            for costs in (study.best_train, study.best_valid, study.test)
        ]
        span = f"{steps.min()} to {steps.max()}"
        rows.append(
            [
                study.cell,
                str(study.features),
                f"{study.parameters:,}",
                span if steps.min() < steps.max() else str(steps[0]),
                *losses,
                published_loss(BEFORE, study.cell, published),
                published_loss(BAI, study.cell, published),
                f"{study.milliseconds:.1f}",
            ]
        )
    return tables.Table(header, rows)


def published_loss(losses: Mapping[str, float], name: str, published: bool) -> str:
    """A published loss on the same data; a dash if there is none."""
    return f"{losses[name]:.2f}" if published and name in losses else "-"


def findings(music: Continuation) -> list[str]:
    """A comparison of the sampled notes with the given ones."""
    given, sampled = np.split(music.roll, [music.given])
    return [
        f"Keys that sound at once: {given.sum(axis=1).mean():.1f} in the prompt, "
        f"{sampled.sum(axis=1).mean():.1f} in the continuation by {music.cell} "
        "(continuation.mid)."
    ]
