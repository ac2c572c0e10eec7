"""Checkpoints and rows of shards, joined along the axis of members."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import train
from experiments.harness import replay
from experiments.harness.folders import ResultsError
from experiments.merge import joining


def rows(seeds, steps=(20, 40)):
    """Rows of a training with a probe before step 0 and before step 20."""
    logged = []
    for step in steps:
        training = {"kind": "training", "cell": "gru", "step": step}
        logged += [{**training, "seed": s, "loss": s / step} for s in seeds]
        for direction in ("forward", "backward"):
            probe = {"kind": "probe", "step": step - 20, "direction": direction}
            logged += [{**probe, "seed": s, "log_norm": [s, step]} for s in seeds]
    return logged


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_rows_come_in_the_order_of_a_run_of_all_members(count):
    seeds = [7, 3, 5, 0, 2]
    shards = [seeds[i::count] for i in range(count)]
    joined = joining.joined_rows([rows(part) for part in shards], shards)
    assert joined == rows(seeds)


def test_members_with_one_seed_are_kept_apart():
    logged = [
        [{"step": 1, "seed": 0, "learning_rate": rate, "loss": rate} for rate in part]
        for part in ((0.1, 0.3), (0.2, 0.4))
    ]
    joined = joining.joined_rows(logged, [[0, 0], [0, 0]])
    assert [row["learning_rate"] for row in joined] == [0.1, 0.2, 0.3, 0.4]


def test_a_member_that_stopped_early_has_fewer_rows():
    first, second = rows([0, 2]), [r for r in rows([1]) if r["step"] < 30]
    joined = joining.joined_rows([first, second], [[0, 2], [1]])
    expected = [r for r in rows([0, 1, 2]) if r["seed"] != 1 or r["step"] < 30]
    assert joined == expected


def test_rows_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match="different rows"):
        joining.joined_rows([rows([0]), [{"kind": "other", "seed": 1}]], [[0], [1]])


def test_arrays_are_interleaved_along_their_axis():
    whole = np.arange(30).reshape(2, 5, 3)
    parts = [whole[:, i::2] for i in range(2)]
    np.testing.assert_array_equal(joining.joined(parts, 1), whole)


def test_a_training_is_joined_in_all_its_fields():
    def loss_fn(w, x, key):
        return ((w - x.mean(axis=0)) ** 2).mean()

    seeds = [7, 3, 5]
    whole = train.fit(
        loss_fn,
        optax.chain(optax.adam(0.1), optax.add_noise(0.1, 0.5, jax.random.key(0))),
        jnp.zeros((3, 2)),
        jnp.arange(16.0).reshape(8, 2),
        seeds,
        steps=4,
        batch_size=2,
        probe=lambda w: {"norm": jnp.abs(w).max(), "nothing": jnp.zeros(0)},
        probe_every=3,
        evaluate_fn=lambda w: jnp.square(w).sum(),
        evaluate_every=2,
    )

    def part(i):
        def of_series(series):
            values = jax.tree.map(lambda v: v[:, i::2], series.values)
            return series._replace(values=values)

        members = jax.tree.map(lambda leaf: leaf[i::2], whole._replace(**others))
        series = {
            name: of_series(getattr(whole, name)) for name in ("probes", "scores")
        }
        return members._replace(seconds_per_step=0.25 + i, **series)

    others = {"seconds_per_step": None, "probes": None, "scores": None}
    logged = [rows(seeds[i::2]) for i in range(2)]
    packed = [replay.packed(part(i), logged[i], True) for i in range(2)]
    joined = joining.joined_training(packed, [seeds[0::2], seeds[1::2]], "w")
    expected = replay.packed(whole._replace(seconds_per_step=1.5), rows(seeds), True)
    chex.assert_trees_all_equal(joined, expected)


def test_trainings_of_other_lengths_are_refused():
    packed = [
        {
            "probes": {"0": np.arange(count), "1": np.zeros((count, 1))},
            "meta": np.frombuffer(b'{"rows": [], "empty": {}}', np.uint8),
        }
        for count in (2, 3)
    ]
    with pytest.raises(ResultsError, match=r"trained .gru. differently, .* --shard"):
        joining.joined_training(packed, [[0], [1]], "gru")
