"""Digits from labels, through the command line and on made-up numbers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.draw_digits import claims, measure
from experiments.draw_digits import controls as drawing_controls
from experiments.draw_digits import experiment as draw_digits
from experiments.draw_digits.controls import Blind
from experiments.draw_digits.measure import DigitsResult
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from nets.models import SequenceGenerator
from train.data import digits

TINY = [
    "--features=4",
    "--components=2",
    "--steps=2",
    "--seeds=0,1",
    "--samples_per_label=3",
]


@pytest.fixture
def run(launched, monkeypatch):
    monkeypatch.setattr(draw_digits, "JUDGE_STEPS", 2)
    return partial(launched, draw_digits)


@pytest.mark.slow
def test_it_draws_and_judges(run, tmp_path):
    code, out, err = run(*TINY, "--temperatures=1,0", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) == {
        *(
            "config.json",
            "metrics.jsonl",
            "checkpoints",
            "report.html",
            "draw_digits.png",
        )
    }
    drawn = rows(folder, "drawn")
    assert [row["seed"] for row in drawn] == [0, 1] * 7
    assert [row["temperature"] for row in drawn[::2]] == [1, 0, *[None] * 5]
    for row in drawn:
        assert 0 <= row["read_as_label"] <= 1 and row["distance"] > 0
    assert drawn[2]["variety"] < drawn[0]["variety"]  # without chance all are alike
    claim_rows = rows(folder, "claim")
    assert len(claim_rows) == 3 and all(row["text"] in out for row in claim_rows)


def test_the_blind_net_sees_no_row():
    rows = jax.random.uniform(jax.random.key(0), (2, 8, 8))
    labels = jnp.array([3, 7])
    costs = {}
    for kind in (Blind, SequenceGenerator):
        model: Any = kind(nets.gru(), 4, 10, 8, 2)
        params = model.init(jax.random.key(1), labels, rows)
        before = model.apply(params, labels, rows)
        after = model.apply(params, labels, rows.at[:, 2].add(1.0))
        costs[kind] = np.abs(np.asarray(after.means - before.means)).max(axis=(0, 2, 3))
    assert (costs[Blind] == 0).all()
    assert (costs[SequenceGenerator] > 0).tolist() == [False] * 3 + [True] * 5


def test_mixed_rows_are_of_the_label():
    _, test = digits.load()
    (images,) = drawing_controls.mixed(test, [4])
    assert not np.array_equal(images, test.images)
    for label in range(10):
        ours, theirs = (some[test.labels == label] for some in (images, test.images))
        for row in range(8):
            np.testing.assert_array_equal(
                np.unique(ours[:, row], axis=0), np.unique(theirs[:, row], axis=0)
            )


def test_copies_are_found_to_be_copies():
    train, test = digits.load()
    varied, near = measure.variety_and_distance(
        train.images[None], train.labels, train, test
    )
    assert near.tolist() == [0] and varied[0] == pytest.approx(1, abs=0.1)
    constant = np.zeros_like(train.images)
    varied, near = measure.variety_and_distance(
        constant[None], train.labels, train, test
    )
    assert varied.tolist() == [0] and near[0] > 0.2


def test_rows_are_shuffled_within_their_digit():
    images = np.arange(2 * 3 * 64, dtype=float).reshape(2, 3, 8, 8)
    changed = drawing_controls.shuffled(images, [0, 1])
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(np.sort(changed, axis=2), images)
    again = drawing_controls.shuffled(images[1:], [1])
    np.testing.assert_array_equal(again, changed[1:])  # whoever else is there


def of(right, distance, nll=-7.0, temperature=1.0):
    wide = np.array([right - 0.01, right, right + 0.01])
    costs = np.full(3, nll)
    images = np.zeros((3, 50, 8, 8))
    return DigitsResult(
        "it", temperature, images, wide, wide, wide * 0 + distance, costs
    )


BLIND = of(0.7, 0.21, -6.0)
CASES = [
    ([of(0.9, 0.2)], [SUPPORTED, SUPPORTED, SUPPORTED]),
    ([of(0.8, 0.2)], [INCONCLUSIVE, SUPPORTED, SUPPORTED]),
    ([of(0.5, 0.1)], [REFUTED, PARTLY_SUPPORTED, REFUTED]),
    (
        [of(0.9, 0.2), of(0.95, 0.1, temperature=0)],
        [SUPPORTED, SUPPORTED, PARTLY_SUPPORTED],
    ),
    (
        [of(0.9, 0.2), of(0.5, 0.2, temperature=0)],
        [PARTLY_SUPPORTED, SUPPORTED, SUPPORTED],
    ),
]


@pytest.mark.parametrize(("drawn", "outcomes"), CASES)
def test_the_claims(drawn, outcomes):
    controls = {"real": of(0.95, 0.15), "blind": BLIND}
    results = claims.evaluate_claims(drawn, controls)
    assert [claim.outcome for claim in results] == outcomes
    title = claims.title(drawn, controls["real"])
    assert f"{100 * drawn[0].accuracy[1]:.0f} % at temperature 1" in title


MISTAKES = [
    ("--cell=grru", "unknown cell 'grru'"),
    (
        "--temperatures=1,-1",
        "flag --temperatures: expected numbers of at least 0; got -1",
    ),
    ("--samples_per_label=1", "--samples_per_label=1"),
    ("--batch_size=899", "flag --batch_size: expected at most 898"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
