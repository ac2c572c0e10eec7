"""Tables and claims on models that translate dates."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    judge,
    positive,
)
from experiments.harness.intervals import interval
from experiments.translate_dates.measure import GOAL, PARTS, TranslationResult
from train.data import dates
from train.data.date_formats import FORMATS

PROBED = 10 * len(FORMATS)  # held-out dates translated by each probe during training
MARGIN = 0.005  # beam search is "no worse" up to this far below greedy decoding


def table(studies: Sequence[TranslationResult], width: int) -> tables.Table:
    """Results, one row per model."""
    header = [
        "model",
        "parameters",
        "exact, greedy, %",
        f"exact, beam of {width}, %",
        "beam minus greedy, points",
        "correct characters, %",
        f"steps to {GOAL:.0%} exact",
        "ms per step, all seeds",
    ]
    rows = []
    for result in studies:
        gain = interval(100 * (result.beam_exact - result.exact))
        never = (result.curve < GOAL).all()
        steps = tables.mean_and_deviation(result.steps_to_goal, "{:.0f}")
        rows.append(
            [
                result.name,
                f"{result.parameters:,}",
                tables.mean_and_deviation(100 * result.exact, "{:.2f}"),
                tables.mean_and_deviation(100 * result.beam_exact, "{:.2f}"),
                gain.text("{:+.2f}"),
                tables.mean_and_deviation(100 * result.characters, "{:.2f}"),
                "not reached" if never else steps,
                f"{1000 * result.seconds_per_step:.1f}",
            ]
        )
    return tables.Table(header, rows)


def mistakes(studies: Sequence[TranslationResult]) -> tables.Table:
    """Wrong parts of wrong dates, and the most frequent confusion."""
    header = [
        "model",
        "wrong dates, all seeds",
        *(f"{part} wrong, %" for part in PARTS),
        "not a calendar day, %",
        "most frequent confusion",
    ]
    rows = []
    for result in studies:
        wrong = [
            (output, target)
            for symbols, right in zip(result.greedy.symbols, result.right, strict=True)
            for output, target in zip(
                dates.iso(symbols[~right]),
                dates.iso(result.targets[~right]),
                strict=True,
            )
        ]
        count = max(len(wrong), 1)
        shares = [
            sum(output[where] != target[where] for output, target in wrong) / count
            for where in PARTS.values()
        ]
        shares.append(sum(not is_day(output) for output, _ in wrong) / count)
        cells = [f"{100 * share:.0f}" if wrong else "-" for share in shares]
        rows.append([result.name, f"{len(wrong):,}", *cells, confusion(wrong)])
    return tables.Table(header, rows)


def is_day(text: str) -> bool:
    """Whether a text is a date in ISO 8601 that the calendar has.

    Args:
        text: Ten characters.

    Returns:
        True or False.

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
    """Translations of a user's dates.

    Args:
        texts: Dates of the user.
        answers: Translations of all dates, by name of the model.

    Returns:
        One row per date. A translation that is not a calendar day is marked.

    Example:
        >>> own_dates(["30 Feb 2024"], {"with": ["2024-02-30"]}).rows
        [['30 Feb 2024', '2024-02-30 (not a day)']]
    """
    rows = [
        [text, *(date if is_day(date) else f"{date} (not a day)" for date in outputs)]
        for text, *outputs in zip(texts, *answers.values(), strict=True)
    ]
    return tables.Table(["your dates", *answers], rows)


def confusion(wrong: Sequence[tuple[str, str]]) -> str:
    """The most frequent confusion in one part of a date.

    Args:
        wrong: Pairs of a wrong translation and its target.

    Returns:
        Text such as "month 09 as 08 (3 times)"; a dash if nothing is wrong.

    Example:
        >>> confusion([("2024-08-01", "2024-09-01"), ("2023-08-02", "2023-09-02")])
        'month 09 as 08 (2 times)'
    """
    counts = Counter(
        f"{part} {target[where]} as {output[where]}"
        for output, target in wrong
        for part, where in PARTS.items()
        if output[where] != target[where]
    )
    if not counts:
        return "-"
    ((most, times),) = counts.most_common(1)
    return f"{most} ({times} times)" if times > 1 else most


ANSWERS = {  # by the outcome of `reaches`
    SUPPORTED: f"Yes: at least {GOAL:.0%} of unseen dates are translated exactly.",
    INCONCLUSIVE: f"The seeds do not decide whether {GOAL:.0%} of dates are exact.",
    REFUTED: f"No: fewer than {GOAL:.0%} of unseen dates are translated exactly.",
}


def evaluate_claims(studies: Sequence[TranslationResult], width: int) -> list[Claim]:
    """Claims on learning, attention and beam search."""
    by_name = {result.name: result for result in studies}
    claims = []
    learns = (
        "learns to translate between sequences of different lengths: at least "
        f"{GOAL:.0%} of held-out dates are exactly right"
    )
    blind = "without attention, whose decoder reads the encoder's last state only"
    if result := by_name.get("with attention"):
        claims.append(reaches(f"An encoder-decoder {learns}", result))
    if result := by_name.get("without attention"):
        text = (
            f"So does an encoder-decoder {blind}"
            if claims
            else f"An encoder-decoder {blind}, {learns}"
        )
        claims.append(reaches(text, result))
    if len(studies) > 1:
        claims.append(faster(*(by_name[f"{a} attention"] for a in ("with", "without"))))
    return [*claims, no_worse(studies, width)]


def reaches(claim: str, result: TranslationResult) -> Claim:
    """The claim that a model reaches the goal."""
    judgment = judge([100 * result.exact], partial(positive, threshold=100 * GOAL))
    return judgment.claim(
        claim,
        "Share of held-out dates that are exactly right by greedy search, in percent.",
        [result.name],
        "{:.2f}",
    )


def faster(attentive: TranslationResult, plain: TranslationResult) -> Claim:
    """The claim that attention shortens training."""
    never = [
        int((result.curve < GOAL).all(axis=1).sum()) for result in (attentive, plain)
    ]
    evidence = (
        "Training steps until this share of held-out dates is right, paired by seed; "
        f"measured every {plain.steps[1] - plain.steps[0]} steps."
    )
    if any(never):
        evidence += (
            f" (Of {len(plain.curve)} seeds each, {never[0]} with attention and "
            f"{never[1]} without never reached this goal; they count as reaching it at "
            "the last step.)"
        )
    return judge([plain.steps_to_goal - attentive.steps_to_goal]).claim(
        f"Attention shortens training: {GOAL:.0%} of the dates are right earlier",
        evidence,
        [f"{plain.name} minus {attentive.name}"],
        "{:+,.0f}",
    )


def no_worse(studies: Sequence[TranslationResult], width: int) -> Claim:
    """The claim that beam search is as good as greedy decoding, within the margin."""
    gains = [100 * (result.beam_exact - result.exact) for result in studies]
    judgment = judge(gains, partial(positive, threshold=-100 * MARGIN))
    cases = []
    for result, gain, outcome in zip(
        studies, judgment.intervals, judgment.outcomes, strict=True
    ):
        beam, greedy = result.beam.log_probabilities, result.greedy.log_probabilities
        likelier = 100 * (beam > greedy + 1e-4).mean()
        value = f"{gain.text('{:+.2f}')}; {likelier:.2f} % of dates more likely"
        cases.append(Case(result.name, value, outcome))
    return claim_of_cases(
        "Beam search is no worse than greedy decoding "
        f"(margin: {100 * MARGIN:g} points)",
        f"Share of exact dates by a beam of {width} minus that by greedy search, in "
        "percentage points.",
        cases,
    )
