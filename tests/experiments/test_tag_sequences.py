"""Tagging from one side and from both, through the command line."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from commands import rows

from experiments import cells, tag_sequences, tagging_figures
from experiments.tagging_figures import WAYS, Tagged
from experiments.verdicts import FAILS, HOLDS, IN_PART, OPEN
from train.data import words
from train.data.words import Words

TINY = ["--features=4", "--length=12", "--steps=2", "--seeds=0,1", "--cell=elman"]


@pytest.fixture
def run(launched):
    return partial(launched, tag_sequences)


def test_it_trains_and_compares_four_ways(run, tmp_path):
    code, out, err = run(*TINY, "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.jsonl", "report.html", "tag_sequences.png")
    }
    found = rows(folder, "scores")
    assert [(row["way"], row["seed"]) for row in found] == [
        (way, seed) for way in WAYS for seed in (0, 1)
    ]
    for row in found:
        assert len(row["bits"]) == 12
        if row["f1"]:
            parts = row["precision"], row["recall"]
            assert row["f1"] == pytest.approx(2 / sum(1 / part for part in parts))
    (majority,) = rows(folder, "majority")
    _, test = words.load(12)
    assert majority["accuracy"] == pytest.approx((test.starts == 0).mean())
    (verdict,) = rows(folder, "verdict")
    assert verdict["claim"] in out
    assert all(way in out for way in WAYS)


def test_the_small_network_has_no_more_parameters():
    train, _ = words.load(12)
    for name in ("elman", "gru", "lstm"):
        config = tag_sequences.Config(features=16)
        made = tag_sequences.models(cells.named(name, 16, 16), train, config)
        counts = {way: tag_sequences.count(model, train) for way, model in made.items()}
        assert counts["both, small"] <= counts["forward"] == counts["backward"]
        assert counts["forward"] < counts["both"]


def test_scores_are_what_numpy_counts(monkeypatch):
    starts = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    said = np.array([[2.0, -1, 3, 1], [-2, -1, -3, -4]])
    both = jnp.stack([jnp.zeros((2, 4)), jnp.asarray(said)], axis=-1)
    monkeypatch.setattr(tag_sequences, "logits", lambda *_: both)
    data = Words(np.zeros((2, 4), np.int32), starts)
    found = tag_sequences.scores(None, None, data)  # type: ignore[arg-type]
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx(6 / 8)
    p = 1 / (1 + np.exp(-said))
    bits = -np.log2(np.where(starts == 1, p, 1 - p)).mean(axis=0)
    np.testing.assert_allclose(found.bits, bits, rtol=1e-5)


def of(*f1s):
    said = np.zeros((1, 4), np.int32)
    return [
        Tagged(way, 4, 10, np.array(f1), np.array(f1), np.full((len(f1), 4), 0.5), said)
        for way, f1 in zip(WAYS, f1s, strict=True)
    ]


LOW, MIDDLE, HIGH = [0.4, 0.41], [0.6, 0.61], [0.8, 0.81]
CASES = [
    (of(LOW, LOW, HIGH, MIDDLE), HOLDS, "no more parameters: F1 60 % against 40 %"),
    (of(MIDDLE, LOW, HIGH, LOW), IN_PART, "with more parameters"),
    (of(HIGH, HIGH, LOW, MIDDLE), FAILS, "hangs on the seed"),
    (of([0.4], [0.4], [0.8], [0.8]), OPEN, "F1 80 % against 40 %"),
]


@pytest.mark.parametrize(("found", "said", "title"), CASES)
def test_the_verdict_is_of_all_comparisons(found, said, title):
    assert tagging_figures.verdict(found).said == said
    assert title in tagging_figures.title(found)


MISTAKES = [
    ("--cell=grru", "unknown cell 'grru'"),
    ("--length=1000000", "flag --length: expected windows of 1 to "),
    ("--batch_size=1000000", "flag --batch_size: expected at most "),
    ("--features=1", "--features=1"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
