"""Tagging from one side and from both, through the command line."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

from experiments.harness import training
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.intervals import interval
from experiments.tag_sequences import claims, figures, measure
from experiments.tag_sequences import experiment as tag_sequences
from experiments.tag_sequences.measure import EQUAL, WAYS, TaggingResult
from train.data import words
from train.data.words import Words

TINY = ["--features=4", "--length=12", "--steps=2", "--seeds=0,1", "--cell=elman"]


@pytest.fixture
def run(launched):
    return partial(launched, tag_sequences)


@pytest.mark.slow
def test_it_trains_and_compares_four_ways(run, tmp_path):
    code, out, err = run(*TINY, "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) == {
        *(
            "config.json",
            "metrics.jsonl",
            "checkpoints",
            "report.html",
            "tag_sequences.png",
        )
    }
    scores = rows(folder, "scores")
    assert [(row["way"], row["seed"]) for row in scores] == [
        (way, seed) for way in WAYS for seed in (0, 1)
    ]
    for row in scores:
        assert len(row["bits"]) == 12
        if row["f1"]:
            parts = row["precision"], row["recall"]
            assert row["f1"] == pytest.approx(2 / sum(1 / part for part in parts))
    (majority,) = rows(folder, "majority")
    _, test = words.load(12)
    assert majority["accuracy"] == pytest.approx((test.starts == 0).mean())
    (claim,) = rows(folder, "claim")
    assert claim["text"] in out
    assert all(way in out for way in WAYS)


@pytest.mark.parametrize("name", ["elman", "gru", "lstm"])
def test_equal_parameters_are_the_most_that_are_no_more(name):
    train, _ = words.load(12)
    made = tag_sequences.models(train, tag_sequences.Config(cell=name, features=16))
    example = jnp.asarray(train.letters[:1])
    counts = {way: training.count(model, example) for way, model in made.items()}
    equal = made[EQUAL]
    assert counts[EQUAL] <= counts["forward"] == counts["backward"] < counts["both"]
    larger = equal.clone(features=equal.features + 1)
    assert training.count(larger, example) > counts["forward"]


def test_scores_are_what_numpy_counts(monkeypatch):
    starts = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    label_logits = np.array([[2.0, -1, 3, 1], [-2, -1, -3, -4]])
    both = jnp.stack([jnp.zeros((2, 4)), jnp.asarray(label_logits)], axis=-1)
    monkeypatch.setattr(measure, "logits", lambda *_: both)
    data = Words(np.zeros((2, 4), np.int32), starts)
    result = measure.scores(None, None, data)  # type: ignore[arg-type]
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.accuracy == pytest.approx(6 / 8)
    p = 1 / (1 + np.exp(-label_logits))
    bits = -np.log2(np.where(starts == 1, p, 1 - p)).mean(axis=0)
    np.testing.assert_allclose(result.bits, bits, rtol=1e-5)


def of(*f1s):
    predicted = np.zeros((1, 4), np.int32)
    return [
        TaggingResult(
            way,
            4,
            10,
            np.array(f1),
            np.array(f1),
            np.full((len(f1), 4), 0.5),
            predicted,
        )
        for way, f1 in zip(WAYS, f1s, strict=True)
    ]


LOW, MIDDLE, HIGH = [0.4, 0.41], [0.6, 0.61], [0.8, 0.81]
CASES = [
    (of(LOW, LOW, HIGH, MIDDLE), SUPPORTED, "no more parameters: F1 60 % versus 40 %"),
    (of(MIDDLE, LOW, HIGH, LOW), PARTLY_SUPPORTED, "but with more parameters"),
    (of(HIGH, HIGH, LOW, MIDDLE), REFUTED, "depends on the seed"),
    (of([0.4], [0.4], [0.8], [0.8]), INCONCLUSIVE, "F1 80 % versus 40 %"),
]


@pytest.mark.parametrize(("results", "outcome", "title"), CASES)
def test_the_claim_is_of_all_comparisons(results, outcome, title):
    assert claims.evaluate_claim(results).outcome == outcome
    assert title in claims.title(results)


def test_intervals_are_those_that_it_is_judged_by():
    both, (low, high) = np.array([0.6, 0.64, 0.62]), (np.full(3, 0.5), np.full(3, 0.7))
    all_hold = claims.evaluate_claim(of(low, low, both, both))
    gain = interval(100 * (both - low))
    assert gain.text("{:+.1f}") in [case.value for case in all_hold.cases]
    some = claims.evaluate_claim(of(low, high, both, both))
    assert some.counted_outcome == "partly supported (2 of 4 cases)"
    gain = interval(100 * (both - low), 4)
    assert gain.text("{:+.1f}") in [case.value for case in some.cases]


def test_bits_are_read_in_plain_decimals():
    results = of(LOW, LOW, HIGH, MIDDLE)
    bits = [
        result._replace(bits=result.bits * [1.2, 0.2, 0.4, 0.6]) for result in results
    ]
    figure = figures.draw(bits, "").figure
    figure.draw_without_rendering()
    axis = figure.axes[1]
    ticks = [*axis.yaxis.get_major_ticks(), *axis.yaxis.get_minor_ticks()]
    low, high = axis.get_ylim()
    labels = [t.label1.get_text() for t in ticks if low < t.get_loc() < high]
    assert {"0.1", "0.2", "0.5"} <= set(labels)
    assert all(text == "" or float(text) for text in labels)


MISTAKES = [
    ("--cell=grru", "unknown cell 'grru'"),
    ("--length=90000", "flag --length: expected windows of 1 to "),
    ("--batch_size=1000000", "flag --batch_size: expected at most "),
    ("--features=1", "--features=1"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
