"""Members of a study: on several devices, stopped early, left out, with averages."""

import json
import os
import subprocess
import sys
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import average_parameters, averaged, fit, result_shapes

RNG = np.random.default_rng(3)
XS = RNG.normal(size=(24, 3)).astype(np.float32)
YS = XS @ np.array([1.0, -2.0, 0.5], np.float32)
SEEDS = [5, 2, 9]
SGD: Any = optax.sgd(0.1)


def loss_fn(params, batch, key):
    xs, ys = batch
    return ((xs @ params["w"] - ys) ** 2).mean()


def train(optimizer=SGD, loss=loss_fn, seeds=SEEDS, data=(XS, YS), **options):
    params = {"w": np.full((len(seeds), 3), 0.1, np.float32)}
    options = {"steps": 30, "batch_size": 6, "params": params, **options}
    return fit(loss, optimizer, data=data, seeds=seeds, **options)


def test_the_shorter_last_call_runs_the_same_program():
    traced = []

    def counted(params, batch, key):
        traced.append(1)
        return loss_fn(params, batch, key)

    train(loss=counted, steps=20)
    once = len(traced)
    traced.clear()
    train(loss=counted, steps=33, save_fn=lambda result: None, save_every=7)
    assert len(traced) == once


def test_hyperparameters_reach_the_loss():
    def loss(params, batch, key, *, decay):
        return loss_fn(params, batch, key) + decay * (params["w"] ** 2).sum()

    decays = np.array([0.0, 0.3, 3.0], np.float32)
    together = train(loss=loss, hyperparameters={"decay": decays})
    for i, seed in enumerate(SEEDS):
        alone = train(
            loss=lambda p, b, k, d=decays[i]: loss(p, b, k, decay=d), seeds=[seed]
        )
        np.testing.assert_allclose(
            together.params["w"][i], alone.params["w"][0], atol=1e-6
        )
    norms = np.linalg.norm(together.params["w"], axis=1)
    assert norms[0] > norms[1] > norms[2]


def test_rows_have_the_hyperparameters_of_their_member():
    rows = []
    rates = np.array([0.1, 0.01, 0.001])
    train(
        optax.inject_hyperparams(optax.sgd)(1.0),
        hyperparameters={"learning_rate": rates},
        log_fn=lambda **row: rows.append(row),
        steps=2,
    )
    logged = [(row["seed"], row["learning_rate"]) for row in rows]
    assert logged == [(s, pytest.approx(r)) for s, r in zip(SEEDS, rates, strict=True)]


def test_a_step_that_is_not_finite_is_skipped():
    """One example is infinite: it comes once in every epoch of 4 steps."""
    data = XS.copy(), YS.copy()
    data[1][7] = np.inf
    errors: list[Any] = []
    fitted = train(data=data, on_nonfinite="skip", nonfinite_fn=errors.append, steps=40)
    assert fitted.nonfinite.tolist() == [10, 10, 10]
    assert fitted.training.all() and fitted.state.step.tolist() == [40, 40, 40]
    np.testing.assert_allclose(fitted.params["w"], [[1.0, -2.0, 0.5]] * 3, atol=0.1)
    assert [error.seed for error in sorted(errors, key=lambda e: SEEDS.index(e.seed))]
    assert {error.tensor for error in errors} == {"the data 1"} and len(errors) == 3


def test_a_dropped_member_keeps_its_last_finite_parameters():
    def loss(params, batch, key, *, limit):
        value = loss_fn(params, batch, key)
        return jnp.where(value < limit, jnp.nan, value)

    limits = np.array([0.0, 0.5, 0.0], np.float32)
    rows, errors = [], []
    fitted = train(
        loss=loss,
        hyperparameters={"limit": limits},
        on_nonfinite="drop_member",
        nonfinite_fn=errors.append,
        log_fn=lambda **row: rows.append(row),
        steps_per_call=1,
    )
    (error,) = errors
    assert (error.seed, error.tensor) == (2, "the loss")
    assert fitted.training.tolist() == [True, False, True]
    assert fitted.state.step.tolist() == [30, error.step - 1, 30]
    before = train(steps=error.step - 1).params["w"][1]
    np.testing.assert_allclose(fitted.params["w"][1], before, atol=1e-6)
    whole = train().params["w"]
    np.testing.assert_allclose(fitted.params["w"][::2], whole[::2], atol=1e-6)
    assert max(row["step"] for row in rows if row["seed"] == 2) == error.step


def test_a_member_that_was_left_out_is_warned_of():
    data = XS, np.full_like(YS, np.inf)
    with pytest.warns(RuntimeWarning, match="step 1, seed 5: the data 1"):
        fitted = train(data=data, seeds=[5], on_nonfinite="drop_member", steps=2)
    assert fitted.state.step.tolist() == [0]
    with pytest.raises(ValueError, match="of stop, skip, drop_member; got 'drop'"):
        train(on_nonfinite="drop")


def evaluate(params):
    return ((params["w"] - jnp.array([0.5, -1.0, 0.2])) ** 2).sum()


def test_the_best_parameters_are_kept_and_members_stop_early():
    """The least distance from a point on the way is the evaluation."""
    fitted = train(evaluate_fn=evaluate, evaluate_every=2, patience=3, steps=60)
    assert fitted.scores is not None and fitted.best is not None
    stopped = fitted.state.step
    assert not fitted.training.any() and (stopped < 60).all()
    for i in range(3):
        row = fitted.scores.values[: int(stopped[i]) // 2, i]
        assert fitted.best.step[i] == 2 * (int(row.argmin()) + 1) == stopped[i] - 6
        assert fitted.best.score[i] == row.min()
        best = {"w": fitted.best.params["w"][i]}
        np.testing.assert_allclose(evaluate(best), row.min(), rtol=1e-5)
        alone = train(steps=int(fitted.best.step[i])).params["w"][i]
        np.testing.assert_allclose(best["w"], alone, atol=1e-6)


def test_members_stop_at_the_target():
    plain = train(evaluate_fn=evaluate, evaluate_every=2, steps=60)
    assert plain.scores is not None
    target = float(np.median(plain.scores.values.min(axis=0)))  # one does not reach it
    rows: list[Any] = []
    fitted = train(
        evaluate_fn=evaluate,
        evaluate_every=2,
        target=target,
        steps=60,
        log_fn=lambda **row: rows.append(row),
    )
    assert fitted.scores is not None
    reached = plain.scores.values <= target
    expected = np.where(reached.any(axis=0), 2 * reached.argmax(axis=0) + 2, 60)
    assert fitted.state.step.tolist() == expected.tolist()
    assert fitted.training.tolist() == (expected == 60).tolist() != [True] * 3
    for i, step in enumerate(expected):
        index = int(step) // 2
        ours, whole = fitted.scores.values[:, i], plain.scores.values[:, i]
        np.testing.assert_array_equal(ours[:index], whole[:index])
        assert (ours[index:] == ours[index - 1]).all()
        logged = [row["step"] for row in rows if row["seed"] == SEEDS[i]]
        assert max(logged) == step


def test_a_member_that_has_stopped_is_neither_trained_nor_evaluated():
    """On a CPU, where a device takes the steps of its members in turn."""
    taken: list[int] = []
    evaluated: list[int] = []

    def counted(params, batch, key):
        name = jax.lax.stop_gradient(params["name"])
        jax.debug.callback(lambda name: taken.append(int(name)), name)
        return loss_fn(params, batch, key)

    def score(params):
        jax.debug.callback(lambda name: evaluated.append(int(name)), params["name"])
        return params["name"]

    params = {
        "w": np.full((3, 3), 0.1, np.float32),
        "name": np.array([2, 0, 1], np.float32),
    }
    fitted = train(
        loss=counted,
        params=params,
        evaluate_fn=score,
        evaluate_every=2,
        target=0.0,
        steps=6,
    )
    jax.effects_barrier()
    assert fitted.state.step.tolist() == [6, 2, 6]
    assert np.bincount(taken).tolist() == [2, 6, 6]
    assert np.bincount(evaluated).tolist() == [1, 3, 3]


def test_a_training_with_evaluations_is_continued_bit_for_bit():
    options = {"evaluate_fn": evaluate, "evaluate_every": 2, "patience": 4}
    whole = train(**options, steps=30)
    first = train(**options, steps=8)
    assert first.training.all()
    second = train(**options, steps=22, params=first)
    chex.assert_trees_all_equal(
        second._replace(seconds_per_step=0), whole._replace(seconds_per_step=0)
    )
    again = train(**options, steps=5, params=whole)
    chex.assert_trees_all_equal(again.state, whole.state)


def test_the_average_of_the_parameters_is_the_result():
    chain = optax.chain(SGD, average_parameters(0.9))
    steps = [train(steps=n).params["w"] for n in range(1, 5)]
    average = np.full((3, 3), 0.1)
    for params in steps:
        average = 0.9 * average + 0.1 * np.asarray(params)
    fitted = train(chain, steps=4)
    np.testing.assert_allclose(fitted.params["w"], average, atol=1e-6)
    np.testing.assert_allclose(fitted.state.params["w"], steps[-1], atol=1e-6)
    assert averaged(fitted.opt_state) is fitted.params
    with pytest.raises(ValueError, match="the parameters as the third argument"):
        average_parameters(0.9).update({}, average_parameters(0.9).init({}))


def test_gradients_are_accumulated_by_optax():
    """Four steps of 6 examples are one of 24, the whole data."""
    chain: Any = optax.MultiSteps(optax.sgd(0.1), 4).gradient_transformation()
    fitted = train(chain, steps=4)
    whole = train(steps=1, batch_size=24)
    np.testing.assert_allclose(fitted.params["w"], whole.params["w"], atol=1e-6)


def test_result_shapes_are_those_of_the_result():
    options = {
        "probe": lambda params: {"norm": (params["w"] ** 2).sum()},
        "evaluate_fn": evaluate,
    }
    adam = optax.chain(optax.adam(0.1), average_parameters(0.5))
    fitted = train(adam, **options, steps=3)
    shapes = result_shapes(adam, {"w": jnp.zeros((3, 3))}, SEEDS, **options)
    chex.assert_trees_all_equal_structs(shapes, fitted)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        jax.eval_shape(lambda: fitted.state), shapes.state
    )


SCRIPT = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
import numpy as np, optax
from jax.sharding import AxisType
sys.path.insert(0, {tests!r})
from test_members import evaluate, train

def mesh(*shape):
    return jax.make_mesh(shape, ("study", "data"), axis_types=(AxisType.Auto,) * 2)

def run(mesh):
    result = train(
        optax.inject_hyperparams(optax.adam)(1.0), mesh=mesh, evaluate_fn=evaluate,
        evaluate_every=7, hyperparameters={{"learning_rate": [0.1, 0.03, 0.2]}},
        probe=lambda p: (p["w"] ** 2).sum(), probe_every=4, steps=21,
        on_nonfinite="drop_member",
    )
    return [np.asarray(leaf).tolist() for leaf in (
        result.params["w"], result.probes.values, result.scores.values,
        result.best.params["w"], result.state.step, result.training)]

shapes = {{"none": None, "2x1": mesh(2, 1), "4x1": mesh(4, 1)}}
shapes |= {{"1x2": mesh(1, 2), "2x2": mesh(2, 2)}}
def decompose(params, batch, key):
    return jax.numpy.linalg.qr(params["w"] * np.ones((2, 3, 3), np.float32))[1].sum()

for options in ({{"mesh": mesh(1, 4)}}, {{"mesh": mesh(4, 1), "loss": decompose}}):
    try:
        train(**options)
    except ValueError as error:
        print(error, file=sys.stderr)
print(json.dumps({{name: run(m) for name, m in shapes.items()}}))
"""


@pytest.mark.slow
def test_devices_change_nothing():
    """Members, which 2 and 4 do not divide, and batches are shared among devices."""
    folder = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(tests=folder)],
        env={**os.environ, "NPROC": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a multiple of 4" in done.stderr and "got 6" in done.stderr
    assert "one matrix at a time on 4 devices that share 4 threads" in done.stderr
    results = json.loads(done.stdout)
    for name in ("2x1", "4x1", "1x2", "2x2"):
        # Members alone on their devices are computed as before, bit for bit.
        tolerance = 0 if name.endswith("x1") else 1e-6
        for ours, expected in zip(results[name], results["none"], strict=True):
            np.testing.assert_allclose(
                ours, expected, rtol=0, atol=tolerance, err_msg=name
            )


def test_a_mesh_needs_both_axes():
    mesh = jax.make_mesh((1,), ("batch",))
    with pytest.raises(ValueError, match="'study' and 'data'; got 'batch'"):
        train(mesh=mesh)
