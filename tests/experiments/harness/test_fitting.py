"""Flags of training become arguments of `train.fit`."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from commands import rows

from experiments import gradient_flow
from experiments.harness import cli, fitting
from experiments.harness.common_flags import TrainingConfig
from train import averaged

CONFIG = TrainingConfig(steps=12, batch_size=4)
SMALL = ["--order=rows", "--features=3", "--batch_size=4", "--probes=none"]
EXPLODES = """
import jax.numpy as jnp, nets

def _step(params, state, x):
    state = jnp.where((params == 1).all(), x @ params, jnp.inf)  # once it is trained
    return state, state

explodes = nets.Cell(
    init=lambda key, inputs, features: jnp.ones((inputs, features)),
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1])),
    step=_step,
)
"""


def updated(optimizer, steps) -> Any:
    """The parameter after steps with the gradient -1."""
    params: Any = jnp.zeros(())
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(-jnp.ones(()), state, params)
        params = optax.apply_updates(params, updates)
    return params.item(), state


def test_the_schedule_scales_the_steps():
    config = dataclasses.replace(CONFIG, schedule="linear", warmup_steps=4)
    params, _ = updated(fitting.optimizer(optax.sgd(1.0), config), 12)
    factors = [0, 1 / 4, 2 / 4, 3 / 4, *np.arange(8, 0, -1) / 8]
    assert params == pytest.approx(sum(factors), rel=1e-6)
    experiments_own = optax.constant_schedule(0.5)
    params, _ = updated(fitting.optimizer(optax.sgd(1.0), CONFIG, experiments_own), 2)
    assert params == 1.0
    constant = dataclasses.replace(CONFIG, schedule="constant")
    params, _ = updated(fitting.optimizer(optax.sgd(1.0), constant, experiments_own), 2)
    assert params == 2.0


def test_a_schedule_counts_the_steps_that_are_accumulated():
    config = dataclasses.replace(CONFIG, schedule="linear", accumulate=3)
    params, _ = updated(fitting.optimizer(optax.sgd(1.0), config), 12)
    assert params == pytest.approx(1 + 9 / 12 + 6 / 12 + 3 / 12, rel=1e-6)


def test_the_average_is_that_of_the_updates():
    config = dataclasses.replace(CONFIG, average=0.5, accumulate=2)
    params, state = updated(fitting.optimizer(optax.sgd(1.0), config), 4)
    assert params == 2.0
    assert float(averaged(state)) == 0.5 * (0.5 * 0 + 0.5 * 1) + 0.5 * 2


def test_evaluations_are_of_the_last_fifth():
    config: Any = dataclasses.replace(CONFIG, evaluate_every=3)
    data = np.arange(40.0), np.arange(40)

    def loss_fn(params, batch, key):
        return (params * batch[0]).mean()

    kept, options = fitting.evaluation(loss_fn, data, config)
    assert kept[1].tolist() == list(range(32)) and options["patience"] is None
    assert float(options["evaluate_fn"](2.0)) == 2 * np.arange(32, 40).mean()
    assert fitting.evaluation(loss_fn, data, CONFIG) == (data, {})


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"patience": 2}, "flag --patience: expected --evaluate_every with it"),
        ({"warmup_steps": 2}, "flag --warmup_steps: expected --schedule with it"),
        ({"warmup_steps": 12, "schedule": "cosine"}, "fewer than --steps, 12; got 12"),
        ({"accumulate": 13}, "flag --accumulate: expected at most --steps, 12; got 13"),
        ({"evaluate_every": 13}, "--evaluate_every: expected at most --steps, 12; got"),
        ({"average": 1.0}, "flag --average: expected a decay below 1, with"),
    ],
)
def test_flags_that_need_each_other(flags, sentence):
    with pytest.raises(cli.UsageError, match=sentence):
        fitting.check(dataclasses.replace(CONFIG, **flags))


@pytest.mark.slow
def test_all_options_of_training_at_once(launched, tmp_path):
    options = "schedule=cosine warmup_steps=2 accumulate=2 average=0.9 evaluate_every=4"
    options += " patience=2 on_nonfinite=drop_member steps=12"
    given = [f"--{option}" for option in options.split()]
    done = launched(
        gradient_flow, *SMALL, *given, "--cells=elman", "--seeds=0,1", "--results=out"
    )
    assert done.returncode == 0, done.stderr
    evaluations = rows(tmp_path / "out", "evaluation")
    assert [(r["step"], r["seed"]) for r in evaluations] == [
        (step, seed) for step in (4, 8, 12) for seed in (0, 1)
    ]
    assert all(0 < row["loss"] < 10 for row in evaluations)


def test_a_model_that_diverges_is_named_and_dropped(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(EXPLODES)
    given = ["--cells=mycells:explodes", "--on_nonfinite=drop_member", "--steps=5"]
    done = launched(gradient_flow, *SMALL, *given, "--seeds=4", "--results=out")
    assert done.returncode == 0, done.stderr
    (row,) = rows(tmp_path / "out", "nonfinite")
    assert (row["cell"], row["seed"]) == ("mycells:explodes", 4)
    assert f"step {row['step']}, seed 4: {row['tensor']} is not finite" in done.stderr
    assert "the model is dropped" in done.stderr
    finding = f"not finite: mycells:explodes, seed 4, step {row['step']}."
    assert f"1 model was dropped, as a step was {finding}" in done.stdout
    report = (tmp_path / "out" / "report.html").read_text()
    assert finding in report
