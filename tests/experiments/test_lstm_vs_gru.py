"""The GRU against the LSTM, through the command line and on made-up numbers."""

from functools import partial

import numpy as np
import pytest
from commands import rows

import nets
from experiments import lstm_vs_gru
from experiments.lstm_vs_gru_figures import SETTINGS, Duel, draw, verdicts
from experiments.verdicts import FAILS, HOLDS, IN_PART, OPEN

TINY = ["--features=8", "--steps=2", "--rounds=2", "--batch_size=4"]


@pytest.fixture
def run(launched):
    return partial(launched, lstm_vs_gru)


def test_both_learn_every_task(run, tmp_path):
    code, out, err = run(*TINY, "--seeds=0,1", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.jsonl", "report.html", "lstm_vs_gru.png")
    }
    models = {(row["task"], row["model"]): row for row in rows(folder, "model")}
    assert len(models) == 3 * 3
    inputs, classes = {"digits": 8, "mnist1d": 1}, 10
    for task, width in inputs.items():
        for name, gates in (("lstm", 4), ("gru", 3), ("gru, more units", 3)):
            n = models[task, name]["features"]
            count = gates * (width + n + 1) * n + (n if gates == 3 else 0)
            assert models[task, name]["parameters"] == count + (n + 1) * classes
    for task in ("digits", "mnist1d", "words"):
        lstm, same, more = (
            models[task, name] for name in ("lstm", "gru", "gru, more units")
        )
        assert lstm["features"] == same["features"] == 8 < more["features"]
        apart = abs(more["parameters"] - lstm["parameters"])
        assert apart <= lstm["parameters"] - same["parameters"]
        assert all(len(row["milliseconds"]) == 2 for row in (lstm, same, more))
    assert len(rows(folder, "accuracy")) == 3 * 3 * 2
    said = rows(folder, "verdict")
    assert len(said) == 3 and all(row["claim"] in out for row in said)


def test_the_units_are_those_that_come_nearest():
    task = lstm_vs_gru.tell_digits()
    lstm = lstm_vs_gru.count(task.make(nets.lstm(), 8), task)
    found = lstm_vs_gru.units(task, lstm)
    apart = [
        abs(lstm_vs_gru.count(task.make(nets.gru(), n), task) - lstm)
        for n in range(1, 16)
    ]
    assert found == 1 + int(np.argmin(apart))


def duels(gru, parameters, ms):
    lstm = np.array([0.8, 0.82, 0.81])
    rounds = np.stack([np.ones(4), np.array([1.0, 1.01, 0.99, 1.0]) * ms], axis=1)
    return [
        Duel("digits", setting, (4, 5), (100, parameters), (lstm, lstm + gru), rounds)
        for setting in SETTINGS
    ]


CASES = [
    (duels(np.array([0.001, 0, 0.002]), 75, 0.7), [HOLDS, HOLDS, HOLDS]),
    (duels(np.array([-0.03, -0.031, -0.029]), 100, 1.3), [FAILS, FAILS, FAILS]),
    (duels(np.array([-0.1, 0.1, 0]), 75, 0.7), [HOLDS, HOLDS, OPEN]),
]


@pytest.mark.parametrize(("found", "said"), CASES)
def test_each_claim_is_judged_by_itself(found, said):
    assert [verdict.said for verdict in verdicts(found)] == said
    draw(found, "caption")


def test_a_claim_of_two_settings_may_hold_in_one():
    good, bad = (case[0] for case in CASES[:2])
    assert [v.said for v in verdicts([good[0], bad[1]])] == [HOLDS, IN_PART, IN_PART]


MISTAKES = [
    ("--tasks=chess", "flag --tasks: expected some of digits, mnist1d, words; got 'ch"),
    ("--batch_size=900", "flag --batch_size: expected at most 898, the training exam"),
    ("--rounds=0", "--rounds=0"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
