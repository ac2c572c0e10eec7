"""Digits from labels, through the command line and on made-up numbers."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments import draw_digits, drawing_figures
from experiments.drawing_figures import Drawn, Judged
from experiments.verdicts import FAILS, HOLDS, OPEN
from train.data import digits

TINY = ["--features=4", "--components=2", "--steps=2", "--seeds=0,1", "--copies=3"]


@pytest.fixture
def run(launched, monkeypatch):
    monkeypatch.setattr(draw_digits, "JUDGE_STEPS", 2)
    return partial(launched, draw_digits)


def test_it_draws_and_judges(run, tmp_path):
    code, out, err = run(*TINY, "--temperatures=1,0", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.jsonl", "report.html", "draw_digits.png")
    }
    drawn = rows(folder, "drawn")
    assert [(row["seed"], row["temperature"]) for row in drawn] == [
        (seed, temperature) for seed in (0, 1) for temperature in (1, 0)
    ]
    for row in drawn:
        assert 0 <= row["read_as_asked"] <= 1 and row["distance"] > 0
    assert drawn[1]["variety"] < drawn[0]["variety"]  # without chance all are alike
    assert len(rows(folder, "judge")) == 2
    said = rows(folder, "verdict")
    assert len(said) == 3 and all(row["claim"] in out for row in said)


def test_copies_are_found_to_be_copies():
    train, test = digits.load()
    varied, near = draw_digits.likeness(train.images[None], train.labels, train, test)
    assert near.tolist() == [0] and varied[0] == pytest.approx(1, abs=0.1)
    constant = np.zeros_like(train.images)
    varied, near = draw_digits.likeness(constant[None], train.labels, train, test)
    assert varied.tolist() == [0] and near[0] > 0.2


def test_rows_are_shuffled_within_their_digit():
    images = np.arange(2 * 3 * 64, dtype=float).reshape(2, 3, 8, 8)
    changed = draw_digits.shuffled(images, [0, 1])
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(np.sort(changed, axis=2), images)
    again = draw_digits.shuffled(images[1:], [1])
    np.testing.assert_array_equal(again, changed[1:])  # whoever else is there


def test_the_usual_cost_is_that_of_gaussians():
    train, test = digits.load()
    total = 0.0
    for image, label in zip(test.images[:5], test.labels[:5], strict=True):
        seen = train.images[train.labels == label]
        scale = np.maximum(seen.std(axis=0), 0.05)
        p = np.exp(-(((image - seen.mean(axis=0)) / scale) ** 2) / 2)
        total -= np.log(p / scale / np.sqrt(2 * np.pi)).sum()
    few = digits.Digits(test.images[:5], test.labels[:5])
    assert draw_digits.usual(train, few) == pytest.approx(total / 40, rel=1e-4)


def of(right, distance):
    wide = np.array([right - 0.01, right, right + 0.01])
    drawn = Drawn(1.0, np.zeros((3, 50, 8, 8)), wide, wide, wide * 0 + distance)
    ones = np.ones(3)
    judged = Judged(ones, ones / 10, ones / 5, np.array([0.15]), ones, ones, 2.0)
    return [drawn], judged


@pytest.mark.parametrize(
    ("right", "distance", "said"),
    [(0.9, 0.2, [HOLDS, HOLDS]), (0.8, 0.2, [OPEN, HOLDS]), (0.5, 0.1, [FAILS, FAILS])],
)
def test_the_verdicts(right, distance, said):
    drawn, judged = of(right, distance)
    assert [v.said for v in drawing_figures.verdicts(drawn, judged)] == said
    assert f"{100 * right:.0f} % at temperature 1" in drawing_figures.title(
        drawn, judged
    )


MISTAKES = [
    ("--cell=grru", "unknown cell 'grru'"),
    ("--temperatures=1,-1", "flag --temperatures: expected numbers from 0 on; got -1"),
    ("--copies=1", "--copies=1"),
    ("--batch_size=899", "flag --batch_size: expected at most 898"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
