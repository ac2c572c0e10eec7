"""Tasks of a long memory: their batches, their held-out examples, their training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from experiments.harness import long_memory, memory_training
from experiments.harness.common_flags import VALIDATION, TrainingConfig
from experiments.harness.long_memory import TASKS
from experiments.harness.padding import Padded
from experiments.harness.runs import new_run
from nets import flow
from nets.flow.decay import norms_of

LENGTHS = {"adding": 12, "copy_memory": 3, "temporal_order": 22}
FEATURES = 4


@pytest.mark.parametrize("name", TASKS)
def test_the_network_without_memory_has_the_loss_of_the_baseline(name):
    """With no weights but biases: the best constant prediction at each kind of step."""
    task, length = TASKS[name], LENGTHS[name]
    network = long_memory.model(task, nets.elman(), FEATURES)
    params = long_memory.start(task, length, network, [0])
    params = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), params)
    if name == "adding":
        params["dense"]["bias"] = jnp.ones(1)
    loss = memory_training.held_out_loss(task, length, network)(params)
    if name == "copy_memory":  # it cannot tell the steps apart
        assert loss == pytest.approx(np.log(9), rel=1e-5)
    else:
        assert loss == pytest.approx(task.baseline(length), rel=0.1)


@pytest.mark.parametrize("name", TASKS)
def test_profiles_are_gradients_of_the_loss(name):
    task, length = TASKS[name], LENGTHS[name]
    network = long_memory.model(task, nets.gru(), FEATURES)
    params = long_memory.start(task, length, network, [3, 4])
    profile = memory_training.profiles(task, length, network, params)
    reopened = memory_training.reopen(task, length, network)
    assert reopened.recurrent is not None
    own = jax.tree.map(lambda leaf: leaf[1], params)
    count = memory_training.MEASURED
    part = reopened.recurrent(own, count)
    _, gradients = flow.state_gradients(
        part.layer, part.params, part.xs, part.loss, lengths=part.lengths
    )
    norms = np.asarray(norms_of(gradients))  # ln, [time, examples]
    steps = len(norms) if part.lengths is None else np.asarray(part.lengths)
    last = norms[
        np.full(memory_training.MEASURED, steps) - 1, range(memory_training.MEASURED)
    ]
    expected = np.median(last)
    assert profile.shape[0] == 2 and profile[1, -1] == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(profile).all()


def test_held_out_examples_are_those_of_their_set():
    task = TASKS["temporal_order"]
    xs, labels = long_memory.held_out(task, 22, 50)
    assert isinstance(xs, Padded) and labels.shape == (50,)
    again, _ = long_memory.held_out(task, 22, 20)
    other, _ = long_memory.held_out(task, 22, 50, VALIDATION)
    np.testing.assert_array_equal(xs.xs[:20], again.xs)
    assert (np.asarray(xs.xs) != np.asarray(other.xs)).any()


def test_members_stop_when_they_have_solved_the_task(tmp_path):
    """Two of three, as the third has a learning rate of nearly zero."""
    steps = 60
    task = TASKS["temporal_order"]._replace(solved=lambda length: 1.2)
    network = long_memory.model(task, nets.gru(), 16)
    config = TrainingConfig(
        seeds=[0, 1, 1], batch_size=20, steps=steps, evaluate_every=10
    )
    params = long_memory.start(task, 11, network, config.seeds)
    with new_run(tmp_path / "run", {}) as results:
        learned = memory_training.train(
            task,
            11,
            network,
            params,
            config,
            results,
            title="gru",
            labels={"cell": "gru"},
            hyperparameters={"learning_rate": np.array([3e-2, 3e-2, 1e-6])},
        )
        rows = results.logged()
    assert learned.losses.shape == (3, len(learned.steps))
    assert (learned.solved[:2] > 0).all() and learned.solved[2] == 0
    for i in (0, 1):
        index = int(learned.solved[i]) // 10 - 1
        curve = learned.losses[i]
        assert (curve[:index] > 1.2).all() and curve[index] <= 1.2
        assert (curve[index:] == curve[index]).all()
        trained = [
            row["step"]
            for row in rows
            if row["kind"] == "training"
            and (row["seed"], row["learning_rate"] > 1e-3) == (config.seeds[i], True)
        ]
        assert max(trained) == learned.solved[i]
    assert learned.steps[-1] == steps
    score = memory_training.reopen(task, 11, network).score
    own = jax.tree.map(lambda leaf: leaf[0], learned.params)
    assert score(own) == pytest.approx(learned.losses[0].min(), rel=1e-5)
