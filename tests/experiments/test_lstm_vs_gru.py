"""The GRU compared with the LSTM, through the command line and on made-up numbers."""

from functools import partial

import jax
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.harness import training
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.lstm_vs_gru import experiment as lstm_vs_gru
from experiments.lstm_vs_gru import measure
from experiments.lstm_vs_gru.claims import answer, evaluate_claims, title
from experiments.lstm_vs_gru.figures import draw
from experiments.lstm_vs_gru.measure import SETTINGS, CellComparison

TINY = ["--features=8", "--steps=2", "--timing_rounds=2", "--batch_size=4"]


@pytest.fixture
def run(launched):
    return partial(launched, lstm_vs_gru)


@pytest.mark.slow
def test_both_learn_every_task(run, tmp_path):
    code, out, err = run(*TINY, "--seeds=0,1", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) == {
        *(
            "config.json",
            "metrics.jsonl",
            "checkpoints",
            "report.html",
            "lstm_vs_gru.png",
        )
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
    steps = {(r["model"], r["step"]) for r in rows(folder, "training")}
    assert {step for name, step in steps if name.startswith("digits")} == {4}
    assert {step for name, step in steps if name.startswith("mnist1d")} == {12}
    assert {step for name, step in steps if name.startswith("words")} == {2}
    judged = rows(folder, "claim")
    assert len(judged) == 3 and all(row["text"] in out for row in judged)


@pytest.mark.slow
def test_compiled_programs_are_timed_even_if_jit_is_disabled():
    task = measure.digits_task()
    config = lstm_vs_gru.Config(seeds=[0], batch_size=2, timing_rounds=1)
    with jax.disable_jit():
        seconds = measure.time_steps([task.make(nets.gru(), 2)], task, config)
    assert seconds.shape == (1, 1) and seconds > 0


def test_the_units_are_those_that_come_nearest():
    task = measure.digits_task()
    example = task.train[0][:1]
    lstm = training.count(task.make(nets.lstm(), 8), example)
    units = measure.gru_units(task, lstm)
    apart = [
        abs(training.count(task.make(nets.gru(), n), example) - lstm)
        for n in range(1, 16)
    ]
    assert units == 1 + int(np.argmin(apart))


@pytest.mark.slow
def test_the_step_size_falls_to_nothing(run, monkeypatch):
    steps = []

    def train(*args, schedule, **kwargs):
        config = args[3]
        steps.append((float(schedule(0)), float(schedule(config.steps))))
        raise KeyboardInterrupt

    monkeypatch.setattr(lstm_vs_gru.training, "train", train)
    run(*TINY, "--tasks=mnist1d", "--seeds=0")
    assert steps == [(1, 0)]


def test_the_caption_names_one_seed():
    config = lstm_vs_gru.Config(seeds=[3])
    words = lstm_vs_gru.caption([measure.words_task()], config)
    assert "GRU minus LSTM, of one seed." in words and "words 400" in words


def duels(gru, parameters, ms):
    lstm = np.array([0.8, 0.82, 0.81])
    rounds = np.stack([np.ones(4), np.array([1.0, 1.01, 0.99, 1.0]) * ms], axis=1)
    return [
        CellComparison(
            "digits", setting, (4, 5), (100, parameters), (lstm, lstm + gru), rounds
        )
        for setting in SETTINGS
    ]


CASES = [
    (duels(np.array([0.001, 0, 0.002]), 75, 0.7), [SUPPORTED, SUPPORTED, SUPPORTED]),
    (duels(np.array([-0.03, -0.031, -0.029]), 100, 1.3), [REFUTED, REFUTED, REFUTED]),
    (duels(np.array([-0.1, 0.1, 0]), 75, 0.7), [SUPPORTED, SUPPORTED, INCONCLUSIVE]),
]


@pytest.mark.parametrize(("results", "outcomes"), CASES)
def test_each_claim_is_judged_separately(results, outcomes):
    claims = evaluate_claims(results)
    assert [claim.outcome for claim in claims] == outcomes
    simpler = "is not simpler" if outcomes[0] == REFUTED else "is simpler"
    assert answer(claims).startswith(f"The GRU {simpler}, ")
    assert ("perhaps no worse" in answer(claims)) == (outcomes[2] == INCONCLUSIVE)
    figure = draw(results, "caption").figure
    words = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert f"{results[0].parameters[1]} of 100" in words
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(SETTINGS)
    assert "margin of 1 point" in figure.axes[0].get_xlabel()
    assert not any(line.get_visible() for line in figure.axes[1].get_xgridlines())


SPEEDS = [(0.79, SUPPORTED), (0.81, INCONCLUSIVE), (1.2, INCONCLUSIVE), (1.3, REFUTED)]


@pytest.mark.parametrize(("ratio", "outcome"), SPEEDS)
def test_a_ratio_counts_only_beyond_the_noise_between_runs(ratio, outcome):
    results = duels(np.zeros(3), 75, ratio)
    rounds = np.stack([np.ones(4), np.full(4, ratio)], axis=1)
    results = [duel._replace(milliseconds=rounds) for duel in results]
    claim = evaluate_claims(results)[1]
    assert claim.outcome == outcome and "factor of 1.25" in claim.evidence
    counts = {SUPPORTED: (2, 0), INCONCLUSIVE: (0, 0), REFUTED: (0, 2)}[outcome]
    assert "faster in {} and slower in {}".format(*counts) in title(results)
    assert "After as many steps, in 2 comparisons" in title(results)


def test_one_round_gives_no_interval():
    results = [
        duel._replace(milliseconds=duel.milliseconds[:1]) for duel in CASES[0][0]
    ]
    claim = evaluate_claims(results)[1]
    assert claim.outcome == INCONCLUSIVE
    assert not any("inf" in case.value for case in claim.cases)


def test_a_claim_of_two_settings_may_hold_in_one():
    good, bad = (case[0] for case in CASES[:2])
    assert [v.outcome for v in evaluate_claims([good[0], bad[1]])] == [
        SUPPORTED,
        PARTLY_SUPPORTED,
        PARTLY_SUPPORTED,
    ]


MISTAKES = [
    ("--tasks=chess", "flag --tasks: expected some of digits, mnist1d, words; got 'ch"),
    ("--batch_size=900", "flag --batch_size: expected at most 898, the training exam"),
    ("--timing_rounds=0", "--timing_rounds=0"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
