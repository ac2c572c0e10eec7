"""Claims, titles and answers of gradient_flow, from decay rates that are known."""

import numpy as np
import pytest

from experiments.gradient_flow import claims, figures
from experiments.gradient_flow.measure import DecayResult
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)


def study(label, before, after):
    """A study whose gradients decay at these rates, in nats a step, seed by seed."""
    time = np.arange(11)
    before, after = (np.array(rates)[:, None] * time for rates in (before, after))
    return DecayResult(label, 1, np.ones(len(before)), before, after, 1.0)


ELMAN = study("elman", [0.3, 0.31, 0.3], [0.0, 0.3, -0.3])
LSTM = study("lstm", [0.1, 0.1, 0.101], [0.1, 0.1, 0.1])
TWIN = study("twin", [0.1, 0.11, 0.101], [0.1, 0.1, 0.1])
GROWING = [study("gru", [-0.51, -0.5, -0.5], [0.1] * 3)]
GROWING += [study("lem", [-0.5, -0.5, -0.51], [0.1] * 3)]
FASTER = [study("gru", [-0.8, -0.8, -0.81], [0.1] * 3)]
FASTER += [study("irnn", [-0.8, -0.81, -0.8], [0.1] * 3)]
DIFFER = [
    ([ELMAN, LSTM], [SUPPORTED, INCONCLUSIVE]),
    ([LSTM, ELMAN], [SUPPORTED, INCONCLUSIVE]),  # of either sign
    ([LSTM, TWIN], [REFUTED, REFUTED]),  # by less than a factor of two over ten steps
    ([LSTM], []),
]


@pytest.mark.parametrize(("studies", "outcome"), DIFFER)
def test_cells_differ_by_more_than_a_factor_of_two(studies, outcome):
    assert [claim.outcome for claim in claims.evaluate_claims(studies)] == outcome


ANSWERS = [
    (
        [ELMAN, LSTM],
        "Before training, LSTM's gradient decays slowest; after training, 3 seeds do "
        "not show whose gradient decays slowest.",
    ),
    (
        [LSTM, TWIN],
        "Before and after training, all gradients decay alike, up to a factor of two "
        "over the sequence.",
    ),
    ([LSTM], "After training, LSTM's gradient halves in 6.9 steps."),
]


@pytest.mark.parametrize(("studies", "answer"), ANSWERS)
def test_the_answer_is_one_sentence(studies, answer):
    assert claims.answer(studies) == answer


def test_some_pairs_may_differ():
    before, _ = claims.evaluate_claims([ELMAN, LSTM, TWIN])
    assert before.counted_outcome == "partly supported (2 of 3 cases)"
    assert "lstm - twin" in [case.name for case in before.cases]


def test_each_direction_is_compared_separately():
    judged = claims.evaluate_claims([ELMAN, LSTM, LSTM, TWIN], directions=2)
    assert [case.name for case in judged[0].cases] == ["elman - lstm", "lstm - twin"]


TITLES = [
    (
        [ELMAN, LSTM],
        "LSTM's gradient decays slowest: it halves in 6.9 steps",
        SUPPORTED,
    ),
    (
        [ELMAN, LSTM, TWIN],
        "Elman's gradient decays fastest: it halves in 2.3",
        PARTLY_SUPPORTED,
    ),
    ([LSTM, TWIN], "all gradients decay alike, up to a factor of two", REFUTED),
    (
        [ELMAN, study("gru", [0.3, 0.1, 0.5], [0.1] * 3)],
        "3 seeds do not show",
        INCONCLUSIVE,
    ),
    (
        [study("lstm", [0.1], [0.1]), study("gru", [0.9], [0.1])],
        "one seed does",
        INCONCLUSIVE,
    ),
    (
        [study("lstm", [-0.2] * 3, [0.1] * 3), LSTM],
        "LSTM's gradient grows fast",
        SUPPORTED,
    ),
    ([*GROWING, LSTM, TWIN], "GRU's gradient grows, twin's decays", PARTLY_SUPPORTED),
    ([*FASTER, *GROWING], "gradient grows faster than", PARTLY_SUPPORTED),
]


@pytest.mark.parametrize(("studies", "words", "outcome"), TITLES)
def test_the_title_agrees_with_the_claim(studies, words, outcome):
    assert claims.evaluate_claims(studies)[0].outcome == outcome
    before, after = claims.title(studies).split("\n")
    assert before.startswith("Before training, ") and words in before
    claimed = any(w in after for w in ("slowest: ", "fastest: ", "slowly than"))
    assert not claimed or claims.evaluate_claims(studies)[1].outcome in (
        SUPPORTED,
        PARTLY_SUPPORTED,
    )


def test_a_title_of_one_cell_and_of_both_directions():
    assert claims.title([LSTM]).startswith("Before training, LSTM's gradient halves in")
    both = claims.title([ELMAN, LSTM, LSTM, TWIN], directions=2)
    assert "forward: LSTM's gradient decays slowest" in both
    assert "backward: all gradients decay alike" in both


HALVES = [(0.1, "6.9"), (0.05, "over 10"), (-0.3, "2.3 (grows)")]
HALVES += [(-0.01, "over 10 (grows)"), (0.0, "over 10"), (np.nan, "none")]


@pytest.mark.parametrize(("rate", "words"), HALVES)
def test_a_half_life_longer_than_the_sequence_is_not_reported(rate, words):
    result = study("lstm", [rate] * 2, [rate] * 2)
    assert claims.halving(result.before) == words
    assert words in claims.table([result]).rows[0]
    figure = figures.draw_decay([result], "pixels", "caption").figure
    _, (text,) = figure.axes[0].get_legend_handles_labels()
    assert text == f"lstm: half-life {words}"
