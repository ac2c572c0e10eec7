"""Trainings that continue in a run that is resumed."""

import dataclasses
import itertools
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import train
from experiments.harness import checkpoints, replay, signals
from experiments.harness.runs import new_run
from train import average_parameters

XS = np.arange(24.0, dtype=np.float32)
OPTIMIZER = optax.chain(optax.adam(0.1), average_parameters(0.9))


def loss_fn(w, x, key):
    noise = jax.random.normal(key, x.shape)
    return ((w - x + noise) ** 2).mean()


def probe(w):
    return {"w": w, "none": jnp.zeros((0, 3))}


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Arguments of each call of `train.fit`."""
    calls, real = [], train.fit

    def fit(*arguments, **options):
        calls.append((arguments, options))
        return real(*arguments, **options)

    monkeypatch.setattr(train, "fit", fit)
    return calls


def trained(results, steps=40, **options):
    return replay.fit(
        results,
        "net",
        loss_fn,
        OPTIMIZER,
        jnp.array([0.0, 1.0]),
        XS,
        [3, 4],
        **{
            "steps": steps,
            "batch_size": 4,
            "steps_per_call": 4,
            "checkpoint_every": 1,
            "probe": probe,
            "probe_every": 5,
            "log_probe_fn": lambda step, v: results.log(kind="probe", step=step, **v),
            "evaluate_fn": lambda w: jnp.abs(w - 10.0),
            "evaluate_every": 8,
            "log_fn": lambda **row: results.log(kind="training", **row),
            **options,
        },
    )


def run(folder, *, rows=None, states=None, **options):
    """Train in a run that is stopped after some rows, or after some checkpoints."""
    counts = {"rows": rows, "states": states}
    left = {k: itertools.count() if n is None else range(n) for k, n in counts.items()}
    left = {kind: iter(count) for kind, count in left.items()}

    def stop(what):
        if next(left[what], None) is None:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        save = checkpoints.save
        patch.setattr(checkpoints, "save", lambda *a: (stop("states"), save(*a)))
        with new_run(folder, {"config": {}}, resume=True) as results:
            results.listeners.append(lambda row: stop("rows"))
            fitted = trained(results, **options)
            results.log(kind="end", params=fitted.params)
    return fitted


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    return run(folder), (folder / "metrics.jsonl").read_text()


def assert_same(fitted, folder, whole):
    result, text = whole
    first, second = (r._replace(seconds_per_step=0.0) for r in (fitted, result))
    states = [
        r.state._replace(key=jax.random.key_data(r.state.key)) for r in (first, second)
    ]
    chex.assert_trees_all_equal(*states)
    chex.assert_trees_all_equal(first._replace(state=None), second._replace(state=None))
    assert (folder / "metrics.jsonl").read_text() == text


@pytest.mark.parametrize("rows", [13, 0, 27])
def test_a_run_that_was_stopped_after_a_row_gives_the_same(rows, whole, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, rows=rows)
    assert_same(run(folder), folder, whole)


@pytest.mark.parametrize("states", [3, 0, 9])
def test_a_run_that_was_stopped_at_a_checkpoint_gives_the_same(states, whole, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, states=states)
    assert_same(run(folder), folder, whole)


@pytest.mark.slow
def test_a_run_that_is_stopped_again_and_again_gives_the_same(whole, calls, tmp_path):
    folder = tmp_path / "out"
    for rows in (5, 9, 17, 21, 28):
        with pytest.raises(KeyboardInterrupt):
            run(folder, rows=rows)
    assert_same(run(folder), folder, whole)
    steps = [options["steps"] for _, options in calls]
    assert steps == sorted(steps, reverse=True) and steps[0] == 40 and steps[-1] < 20


def test_a_complete_training_is_read(whole, calls, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, rows=len(whole[1].splitlines()) - 1)
    count = len(calls)
    fitted = run(folder)
    assert_same(fitted, folder, whole)
    assert len(calls) == count
    assert isinstance(fitted.seconds_per_step, float) and fitted.seconds_per_step > 0


def damage(place):
    for file in place.rglob("*"):
        if file.is_file() and file.stat().st_size:
            file.write_bytes(file.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("count", [1, 2])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    count, whole, calls, capsys, tmp_path
):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, rows=28)
    place = tmp_path / "out.unfinished" / "checkpoints" / "net"
    steps = sorted((int(path.name) for path in place.iterdir()), reverse=True)
    assert len(steps) == checkpoints.STATES
    for step in steps[:count]:
        damage(place / str(step))
    capsys.readouterr()
    assert_same(run(folder), folder, whole)
    err = capsys.readouterr().err.splitlines()
    instead = ["the one before is used", "the training is repeated"][:count]
    assert len(err) == count
    for line, step, end in zip(err, steps, instead, strict=False):
        assert f"checkpoint {place / str(step)} is damaged" in line
        assert line.endswith(end)
    assert calls[-1][1]["steps"] == 40 - (steps[1] if count == 1 else 0)


def test_a_signal_saves_and_ends_a_training(whole, calls, monkeypatch, tmp_path):
    folder = tmp_path / "out"
    monkeypatch.setattr(signals, "_requested", 15)
    with pytest.raises(signals.Stopped) as stopped:
        run(folder, checkpoint_every=0)
    assert stopped.value.number == 15
    monkeypatch.setattr(signals, "_requested", 0)
    assert_same(run(folder, checkpoint_every=0), folder, whole)
    assert [options["steps"] for _, options in calls] == [40, 36]


def test_a_complete_run_keeps_parameters_only(whole, tmp_path):
    folder = tmp_path / "out"
    run(folder, keep_every=20)
    place = folder / "checkpoints" / "net"
    assert sorted(path.name for path in place.iterdir()) == ["20", "40"]
    assert not list(place.rglob("training*"))
    known = checkpoints.read_index(folder)["net"]
    assert sorted(known.steps) == [20, 40] and not known.states
    kept = checkpoints.load(folder, "net", 40)
    chex.assert_trees_all_equal(kept, np.asarray(whole[0].params))


def test_a_shard_keeps_its_trainings(whole, tmp_path):
    metadata = {"config": {}, "shard": "0/2"}
    with new_run(tmp_path / "out", metadata) as results:
        trained(results)
    known = checkpoints.read_index(tmp_path / "out")["net"]
    assert list(known.states) == [40]
    parts = checkpoints.load_training(tmp_path / "out", "net", 40)
    assert (parts["state"]["0"] == 40).all()  # the step of both models


def test_what_a_killed_process_was_writing_is_removed(whole, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, rows=20)
    place = tmp_path / "out.unfinished" / "checkpoints" / "net"
    newest = max(place.iterdir(), key=lambda path: int(path.name))
    shutil.copytree(newest, place / "36.orbax-checkpoint-tmp")
    assert_same(run(folder), folder, whole)
    assert [path.name for path in (folder / "checkpoints" / "net").iterdir()] == ["40"]


def test_checkpoints_are_written_in_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(replay.time, "monotonic", lambda: now[0])
    results = dataclasses.make_dataclass("Results", ["writer"])(
        dataclasses.make_dataclass("Writer", [("busy", bool)])(False)
    )
    saver = replay._Saver(results, "net", [0], [], 100, 0, 0, saved_at=0.0)
    assert not saver.due(20)
    now[0] = replay.SECONDS + 1
    assert saver.due(40) and not saver.due(100)
    results.writer.busy = True
    assert not saver.due(40)
    saver.checkpoint_every, saver.saved_step = 30, 20
    assert saver.due(40) and not saver.due(29)
