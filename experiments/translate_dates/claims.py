"""What was found of models that translate dates: tables and claims."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Claim,
    judge,
    positive,
)
from experiments.harness.intervals import interval
from train.data import dates
from train.data.date_formats import FORMATS

PROBED = 10 * len(FORMATS)  # held-out dates that are translated while it learns
GOAL = 0.95  # of the dates exactly right
MARGIN = 0.005  # by which beam search may be below greedy, and be called no worse
PARTS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}  # written


class Written(NamedTuple):
    """What a model writes for the held-out dates.

    Attributes:
        symbols: By numbers in `dates.OUTPUT`, [seeds, examples, 10].
        log_probabilities: Of each, in nats, [seeds, examples].
    """

    symbols: Int[np.ndarray, "seeds examples 10"]
    log_probabilities: Float[np.ndarray, "seeds examples"]


class Study(NamedTuple):
    """What was found of one model.

    Attributes:
        name: Such as "with attention".
        parameters: How many it has.
        steps: At which it was probed while it learnt.
        curve: The share of some held-out dates that it then wrote exactly right.
        greedy: What it writes at the end, symbol by symbol.
        beam: What it writes by beam search.
        targets: What is right.
        seconds_per_step: Of training, all seeds together.
    """

    name: str
    parameters: int
    steps: Int[np.ndarray, " probes"]
    curve: Float[np.ndarray, "seeds probes"]
    greedy: Written
    beam: Written
    targets: Int[np.ndarray, "examples 10"]
    seconds_per_step: float

    @property
    def right(self) -> np.ndarray:
        """Whether each date is exactly right, greedy, [seeds, examples]."""
        return (self.greedy.symbols == self.targets).all(axis=-1)

    @property
    def exact(self) -> Float[np.ndarray, " seeds"]:
        """The share of dates that are exactly right, greedy."""
        return self.right.mean(axis=1)

    @property
    def beam_exact(self) -> Float[np.ndarray, " seeds"]:
        """Likewise by beam search."""
        return (self.beam.symbols == self.targets).all(axis=-1).mean(axis=1)

    @property
    def characters(self) -> Float[np.ndarray, " seeds"]:
        """The share of characters that are right, greedy."""
        return (self.greedy.symbols == self.targets).mean(axis=(1, 2))

    @property
    def steps_to_goal(self) -> Float[np.ndarray, " seeds"]:
        """The first probe at which the goal is reached; the last step if none is."""
        reached = self.curve >= GOAL
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), -1)
        return self.steps[first].astype(float)


def table(studies: Sequence[Study], width: int) -> tables.Table:
    """What was found, a line a model."""
    header = [
        "model",
        "parameters",
        "exactly right, greedy, %",
        f"by a beam of {width}, %",
        "beam minus greedy, points",
        "characters right, %",
        f"steps to {GOAL:.0%} right",
        "ms a step, all seeds",
    ]
    rows = []
    for one in studies:
        gain = interval(100 * (one.beam_exact - one.exact))
        never = (one.curve < GOAL).all()
        steps = tables.mean_and_deviation(one.steps_to_goal, "{:.0f}")
        rows.append(
            [
                one.name,
                f"{one.parameters:,}",
                tables.mean_and_deviation(100 * one.exact, "{:.2f}"),
                tables.mean_and_deviation(100 * one.beam_exact, "{:.2f}"),
                gain.text("{:+.2f}"),
                tables.mean_and_deviation(100 * one.characters, "{:.2f}"),
                "not reached" if never else steps,
                f"{1000 * one.seconds_per_step:.1f}",
            ]
        )
    return tables.Table(header, rows)


def mistakes(studies: Sequence[Study]) -> tables.Table:
    """Which part is wrong in dates that are, and what is taken for what most often."""
    header = [
        "model",
        "wrong dates, all seeds",
        *(f"{part} wrong, %" for part in PARTS),
        "no day of the calendar, %",
        "most often",
    ]
    rows = []
    for one in studies:
        wrong = [
            (said, true)
            for symbols, right in zip(one.greedy.symbols, one.right, strict=True)
            for said, true in zip(
                dates.iso(symbols[~right]), dates.iso(one.targets[~right]), strict=True
            )
        ]
        count = max(len(wrong), 1)
        shares = [
            sum(s[where] != t[where] for s, t in wrong) / count
            for where in PARTS.values()
        ]
        shares.append(sum(not is_day(said) for said, _ in wrong) / count)
        cells = [f"{100 * share:.0f}" if wrong else "-" for share in shares]
        rows.append([one.name, f"{len(wrong):,}", *cells, confusion(wrong)])
    return tables.Table(header, rows)


def is_day(text: str) -> bool:
    """Whether the calendar has such a day.

    Args:
        text: Ten characters.

    Returns:
        Whether it is a date in ISO 8601.

    Example:
        >>> is_day("2024-02-29"), is_day("2023-02-29"), is_day("2023-1111-")
        (True, False, False)
    """
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def own_dates(
    texts: Sequence[str], answers: Mapping[str, Sequence[str]]
) -> tables.Table:
    """What each model makes of a user's dates.

    Args:
        texts: The dates.
        answers: What is written for each, by the names of the models.

    Returns:
        A line a date; what is no day of the calendar is marked.

    Example:
        >>> own_dates(["30 Feb 2024"], {"with": ["2024-02-30"]}).rows
        [['30 Feb 2024', '2024-02-30 (no day)']]
    """
    rows = [
        [text, *(one if is_day(one) else f"{one} (no day)" for one in said)]
        for text, *said in zip(texts, *answers.values(), strict=True)
    ]
    return tables.Table(["your dates", *answers], rows)


def confusion(wrong: Sequence[tuple[str, str]]) -> str:
    """The most frequent mistake in a part.

    Args:
        wrong: Pairs of what was written and what is right.

    Returns:
        Such as "month 09 as 08 (3 times)"; a dash if nothing is wrong.

    Example:
        >>> confusion([("2024-08-01", "2024-09-01"), ("2023-08-02", "2023-09-02")])
        'month 09 as 08 (2 times)'
    """
    counted = Counter(
        f"{part} {true[where]} as {said[where]}"
        for said, true in wrong
        for part, where in PARTS.items()
        if said[where] != true[where]
    )
    if not counted:
        return "-"
    ((most, times),) = counted.most_common(1)
    return f"{most} ({times} times)" if times > 1 else most


ANSWERS = {  # by the outcome of `reaches`
    SUPPORTED: f"Yes: at least {GOAL:.0%} of unseen dates are translated exactly.",
    INCONCLUSIVE: f"The seeds do not decide if {GOAL:.0%} of dates become exact.",
    REFUTED: f"No: fewer than {GOAL:.0%} of unseen dates are translated exactly.",
}


def evaluate_claims(studies: Sequence[Study], width: int) -> list[Claim]:
    """On the claims of sequence to sequence learning."""
    by_name = {one.name: one for one in studies}
    found = []
    learns = (
        "learns to translate between sequences of different lengths: at least "
        f"{GOAL:.0%} of held-out dates are exactly right"
    )
    told = "without attention, whose decoder is told the encoder's last state only"
    if one := by_name.get("with attention"):
        found.append(reaches(f"An encoder-decoder {learns}", one))
    if one := by_name.get("without attention"):
        claim = (
            f"So does one {told}" if found else f"An encoder-decoder {told}, {learns}"
        )
        found.append(reaches(claim, one))
    if len(studies) > 1:
        found.append(faster(*(by_name[f"{a} attention"] for a in ("with", "without"))))
    return [*found, no_worse(studies, width)]


def reaches(claim: str, one: Study) -> Claim:
    """Whether a model gets as many dates right as is claimed."""
    exact = interval(100 * one.exact)
    why = (
        f"Exactly right, greedy: {exact.text('{:.2f}')} % of {len(one.targets):,} "
        f"dates after {one.steps[-1]:,} steps; the least seed has "
        f"{100 * one.exact.min():.2f} %."
    )
    return Claim(claim, positive(exact, 100 * GOAL), why)


def faster(attentive: Study, plain: Study) -> Claim:
    """Whether attention shortens learning."""
    saved = interval(plain.steps_to_goal - attentive.steps_to_goal)
    means = [one.steps_to_goal.mean() for one in (attentive, plain)]
    never = [int((s.curve < GOAL).all(axis=1).sum()) for s in (attentive, plain)]
    why = (
        f"{GOAL:.0%} of {min(PROBED, len(plain.targets))} held-out dates right after "
        f"{means[0]:,.0f} steps with attention, {means[1]:,.0f} without, looked at "
        f"every {plain.steps[1] - plain.steps[0]} steps: {saved.text('{:,.0f}')} "
        "saved, seed by seed."
    )
    if any(never):
        why += (
            f" (Of {len(plain.curve)} seeds each, {never[0]} with attention and "
            f"{never[1]} without never got there, and are counted as if at the last "
            "step.)"
        )
    return Claim(
        f"Attention shortens learning: {GOAL:.0%} of the dates are right earlier",
        positive(saved),
        why,
    )


def no_worse(studies: Sequence[Study], width: int) -> Claim:
    """Whether beam search is as good as greedy, within the margin."""
    gains = [100 * (one.beam_exact - one.exact) for one in studies]
    judged = judge(gains, partial(positive, threshold=-100 * MARGIN))
    parts = []
    for one, gain in zip(studies, judged.intervals, strict=True):
        beam, greedy = one.beam.log_probabilities, one.greedy.log_probabilities
        likelier = (beam > greedy + 1e-4).mean()
        parts.append(
            f"{one.name} {gain.text('{:+.2f}')} points, a likelier "
            f"date found in {100 * likelier:.2f} %"
        )
    return judged.claim(
        f"Beam search is no worse than greedy (margin: {100 * MARGIN:g} points)",
        f"A beam of {width} minus greedy: {'; '.join(parts)}.",
    )
