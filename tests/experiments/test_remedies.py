"""The remedies, through their command line and compared with exact facts."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.remedies import experiment as remedies
from experiments.remedies.claims import counted_outcome, title
from experiments.remedies.measure import Bench, RemedyResult
from experiments.remedies.trials import REMEDIES

TINY = [
    "--features=4",
    "--length=6",
    "--examples=40",
    "--batch_size=8",
    "--steps=8",
    "--seeds=0,1",
    "--exponents=2",
    "--clip_norm=2.6",
]


@pytest.fixture
def run(launched):
    return partial(launched, remedies)


@pytest.mark.slow
def test_every_remedy_is_compared_with_its_claim(run, tmp_path):
    done = run(*TINY, "--results=out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    names = {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "remedies.png",
        "report.html",
    }
    assert files(out) == names
    assert (out / "remedies.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "report.html").read_text()
    assert "<h1>Does each remedy for vanishing and exploding gradients" in page
    assert "what they claim" in page
    claims = rows(out, "remedy")
    assert [row["remedy"] for row in claims[::2]] == list(REMEDIES)
    for name in REMEDIES:
        assert f"With {name}, " in page and f"\n{name} " in done.stdout
    less = [row for row in claims if row["remedy"] not in ("clip", "h_detach")]
    assert all(row["held"] == (row["with_it"] < 0.95 * row["without"]) for row in less)
    for row in claims:
        if row["remedy"] == "h_detach":
            assert 0 < row["without"] < row["with_it"] <= 1 and row["held"]
        if row["remedy"] == "identity":
            assert row["with_it"] < row["without"] / 2 and row["held"]

    # The share of clipped steps, counted from the norms of all steps.
    training = [row for row in rows(out, "training") if row["network"] == "clip"]
    rates = []
    for row in rows(out, "clip"):
        norms = [r["gradient_norm"] for r in training if r["seed"] == row["seed"]]
        assert len(norms) == 8
        assert row["rate"] == pytest.approx(np.mean(np.array(norms) > 2.6))
        assert row["before"] == pytest.approx(max(norms), rel=1e-5)
        assert row["after"] == pytest.approx(min(max(norms), 2.6), rel=1e-5)
        rates.append(row["rate"])
    assert any(0 < rate < 1 for rate in rates)  # or the count above shows little


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_what_does_nothing_does_not_hold(run, tmp_path):
    flags = "--pascanu_weight=0", "--detach_rate=0"
    names = "--remedies=pascanu,h_detach"
    done = run(*TINY, *flags, names, "--results=out")
    assert done.returncode == 0, done.stderr
    for row in rows(tmp_path / "out", "remedy"):
        assert row["with_it"] == pytest.approx(row["without"], rel=1e-5)
        assert row["error_with"] == pytest.approx(row["error_without"], rel=1e-5)
    claims = [r for r in rows(tmp_path / "out", "remedy") if r["remedy"] != "h_detach"]
    assert not any(row["held"] for row in claims)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_clipping_is_measured_with_all_options_of_training(run, tmp_path):
    options = "schedule=linear warmup_steps=2 accumulate=2 average=0.9 evaluate_every=4"
    flags = [f"--{option}" for option in options.split()]
    done = run(*TINY, *flags, "--remedies=clip", "--results=out")
    assert done.returncode == 0, done.stderr
    for row in rows(tmp_path / "out", "clip"):
        assert 0 < row["after"] <= row["limit"] * (1 + 1e-5)
    # The rate is that of the schedule.
    rates = {row["learning_rate"] for row in rows(tmp_path / "out", "training")}
    assert len(rates) > 2


def test_a_known_decay_is_found():
    config = remedies.Config(features=3, length=12, examples=8, seeds=[0, 5])
    bench: Any = Bench(config, results=None)  # type: ignore[arg-type]
    cell = nets.elman(activation=lambda x: x)
    models = bench.start(cell)
    halving = jnp.broadcast_to(jnp.eye(3) / 2, (2, 3, 3))
    models = models._replace(cell=models.cell._replace(w_h=halving))
    decay = bench.decay(cell, models)
    np.testing.assert_allclose(decay.rate, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(decay.half_life, 1, rtol=1e-5)


def test_the_error_is_that_of_the_predictions():
    config = remedies.Config(features=3, length=12, examples=8, seeds=[0, 5])
    bench: Any = Bench(config, results=None)  # type: ignore[arg-type]
    cell = nets.elman()
    models = bench.start(cell)
    predicts_1 = models._replace(w=jnp.zeros((2, 3)), b=jnp.ones(2))
    expected = ((bench.targets - 1) ** 2).mean()
    np.testing.assert_allclose(bench.error(cell, predicts_1), [expected] * 2, rtol=1e-5)


def test_a_claim_that_holds_in_part_is_not_counted():
    ones = np.ones(2)
    held, half = np.array([True, True]), np.array([True, False])
    outcome = RemedyResult("a", "b", "c", ones, ones, held, ones, ones / 2, "d")
    partly = outcome._replace(remedy="z", held=half, error_with=ones * [0.5, 1])
    assert counted_outcome(outcome) == "supported, 2 of 2 seeds"
    assert counted_outcome(partly) == "partly supported, 1 of 2 seeds"
    text = title([outcome, partly])
    assert text.startswith("1 of 2 remedies") and text.endswith("in all seeds, with a")


MISTAKES = [
    ("--remedies=prayer", "--remedies: expected some of clip, pascanu, flossing, "),
    ("--remedies=clip,clip", "clip is given twice"),
    ("--remedies=", "--remedies: expected values separated by commas"),
    ("--exponents=5", "--exponents: expected at most 4, the units; got 5"),
    ("--detach_rate=1", "--detach_rate: expected a rate below 1; got 1"),
    ("--clip_norm=0", "flag --clip_norm=0: "),
    ("--length=2", "flag --length=2: "),
    ("--batch_size=41", "--batch_size: expected at most 40, the training sequences"),
    ("--seeds=-1", "expected integers from 0 to 2^32 - 1; got [-1]"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    done = run(*TINY, flag)
    assert done.returncode == 2
    assert done.stderr.startswith("remedies: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
