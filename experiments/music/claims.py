"""What is said of polyphonic music, from losses over seeds."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.harness.claims import SUPPORTED, Claim, judge, positive, within

# Nats a step on the test pieces, of Bai, Kolter and Koltun 2018; and what was measured
# in PyTorch with 20,000 parameters, before this experiment was there.
BAI = {"elman": 8.91, "lstm": 8.45, "gru": 8.43}
BEFORE = {
    "elman": 8.63,
    "lstm": 8.54,
    "gru": 8.70,
    "independent": 11.09,
    "markov": 10.49,
}
# So far, on average, do these two measurements of the same cell lie apart: cells that
# differ by less are not ranked by it.
TOLERANCE = 0.2
GOAL = 8.8  # nats a step, that so small nets shall reach


class Study(NamedTuple):
    """What was found of a cell.

    Attributes:
        cell: Its name.
        features: Its units.
        parameters: Of the whole net.
        steps: After how many training steps it was looked at.
        train: Nats a step on the training pieces, at each look.
        valid: Likewise on the validation pieces.
        test: On the test pieces, with the parameters best in validation.
        params: These, [seeds, ...].
        milliseconds: Of one training step of all seeds.
    """

    cell: str
    features: int
    parameters: int
    steps: Int[np.ndarray, " looks"]
    train: Float[np.ndarray, "looks seeds"]
    valid: Float[np.ndarray, "looks seeds"]
    test: Float[np.ndarray, " seeds"]
    params: Any
    milliseconds: float

    @property
    def best_valid(self) -> Float[np.ndarray, " seeds"]:
        """The least loss on the validation pieces."""
        return self.valid.min(axis=0)

    @property
    def best_train(self) -> Float[np.ndarray, " seeds"]:
        """The loss on the training pieces at the same step."""
        return self.train[self.valid.argmin(axis=0), np.arange(len(self.test))]

    @property
    def best_step(self) -> Int[np.ndarray, " seeds"]:
        """After how many steps that was."""
        return self.steps[self.valid.argmin(axis=0)]


def evaluate_claims(
    studies: Sequence[Study], markov: float, published: bool
) -> list[Claim]:
    """What is said of three claims; of the last if the data are the published ones."""
    found = [beats(studies, markov)]
    if len(studies) > 1:
        found.append(rank(studies))
    ours = [study for study in studies if published and study.cell in BAI]
    if ours:
        found += [reaches(ours), level(ours)]
    return found


def beats(studies: Sequence[Study], markov: float) -> Claim:
    """Whether each cell is better than a chain of every key."""
    found = judge([markov - study.test for study in studies])
    told = found.text([study.cell for study in studies], "{:.2f}")
    return found.claim(
        "Recurrent nets learn polyphonic music: each cell beats a first-order Markov "
        "chain of every key",
        f"The chain needs {markov:.2f} nats a step; less by {told}.",
    )


def rank(studies: Sequence[Study]) -> Claim:
    """Whether the cells are alike to within the tolerance, pair by pair."""
    pairs = list(itertools.combinations(studies, 2))
    found = judge(
        [a.test - b.test for a, b in pairs], partial(within, tolerance=TOLERANCE)
    )
    told, sure = [], []
    for (a, b), one in zip(pairs, found.intervals, strict=True):
        told.append(f"{a.cell} minus {b.cell} {one.text('{:+.2f}')}")
        if one.low > 0 or one.high < 0:
            sure.append(f"{a.cell} and {b.cell}")
    order = "The seeds order no pair"
    if sure:
        order = f"The seeds do order {', '.join(sure)}, on these test pieces"
    return found.claim(
        f"The cells differ by less than {TOLERANCE} nats, as far as measurements of "
        "one cell lie apart that others made",
        f"In nats: {', '.join(told)}. {order}.",
    )


def reaches(studies: Sequence[Study]) -> Claim:
    """Whether each cell comes to the goal, with so few parameters."""
    found = judge([GOAL - study.test for study in studies])
    told = ", ".join(
        f"{study.cell} {study.test.mean():.2f}, at most {study.test.max():.2f}, with "
        f"{study.parameters:,}"
        for study in studies
    )
    return found.claim(
        f"Some 20,000 parameters are enough for {GOAL} nats a step", f"{told}."
    )


def level(studies: Sequence[Study]) -> Claim:
    """Whether the cells are no worse than published, to within the tolerance."""
    found = judge(
        [BAI[study.cell] - study.test for study in studies],
        partial(positive, threshold=-TOLERANCE),
    )
    told = found.text(study.cell for study in studies)
    return found.claim(
        f"Each cell comes up to what Bai 2018 published, or lacks less than "
        f"{TOLERANCE} nats",
        f"Below the published loss, in nats: {told}.",
    )


def title(studies: Sequence[Study], floors: Mapping[str, float]) -> str:
    """The finding: between which losses the cells end, and whether all beat Markov."""
    markov = floors["markov"]
    parts = judge([markov - study.test for study in studies]).outcomes  # as in `beats`
    cells = [study.cell for study in studies]
    better = [
        cell for cell, part in zip(cells, parts, strict=True) if part == SUPPORTED
    ]
    worse = [cell for cell in cells if cell not in better]
    if worse:
        return (
            f"Not from every seed a first-order Markov chain ({markov:.2f} nats) is "
            f"beaten by {and_then(worse)}"
        )
    means = [study.test.mean() for study in studies]
    low, high = f"{min(means):.2f}", f"{max(means):.2f}"
    span = low if low == high else f"{low} to {high}"
    return (
        f"{and_then(better)} predict{'s' if len(better) == 1 else ''} the next "
        f"chord at {span} nats, a first-order Markov chain at {markov:.2f}"
    )


def and_then(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    Example:
        >>> and_then(["elman", "lstm", "gru"])
        'elman, lstm and gru'
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def overfit(studies: Sequence[Study]) -> str:
    """The finding on validation pieces: how far above training, and whose rises."""
    risen = {
        study.cell: (study.valid[-1] - study.best_valid).mean() for study in studies
    }
    gaps = [study.best_valid - study.best_train for study in studies]
    text = f"Validation pieces cost {np.mean(gaps):.2f} nats more than training pieces"
    worse = [f"{cell} by {rise:.2f}" for cell, rise in risen.items() if rise >= 0.01]
    if worse:
        return f"{text}; past the best step rises {', '.join(worse)}"
    return f"{text}, and their loss does not rise again"
