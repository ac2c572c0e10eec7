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


def test_settings_distinguish_members_with_one_seed():
    """The first member has stopped."""
    rates = [[0.1, 0.3], [0.2, 0.4]]
    logged = [
        [{"step": 1, "seed": 0, "learning_rate": rate} for rate in part]
        for part in ((0.3,), (0.2, 0.4))
    ]
    settings = [{"learning_rate": values} for values in rates]
    joined = joining.joined_rows(logged, [[0, 0], [0, 0]], settings)
    assert [row["learning_rate"] for row in joined] == [0.2, 0.3, 0.4]


def test_a_member_that_stopped_early_has_fewer_rows():
    first, second = rows([0, 2]), [r for r in rows([1]) if r["step"] < 30]
    joined = joining.joined_rows([first, second], [[0, 2], [1]])
    expected = [r for r in rows([0, 1, 2]) if r["seed"] != 1 or r["step"] < 30]
    assert joined == expected


def failure(seed, step, tensor="w"):
    return {"kind": "nonfinite", "seed": seed, "step": step, "tensor": tensor}


def test_steps_that_were_not_finite_come_after_the_call_in_which_they_were():
    whole, first, second = rows([0, 1, 2]), rows([0, 2]), rows([1])
    whole[3:3] = [failure(1, 4), failure(0, 7, "b"), failure(2, 7)]
    first[2:2] = [failure(0, 7, "b"), failure(2, 7)]
    second[1:1] = [failure(1, 4)]
    assert joining.joined_rows([first, second], [[0, 2], [1]]) == whole


def test_rows_without_a_member_are_refused():
    other = [[{"kind": "mean", "step": 1}]] * 2
    with pytest.raises(LookupError, match="seed"):
        joining.joined_rows(other, [[0], [1]])


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
    gains = {"gain": [1.0, 2.0, 3.0]}
    packed = [
        replay.packed(part(i), logged[i], True, {"gain": gains["gain"][i::2]})
        for i in range(2)
    ]
    joined = joining.joined_training(packed, [seeds[0::2], seeds[1::2]], "w")
    whole = whole._replace(seconds_per_step=1.5)
    expected = replay.packed(whole, rows(seeds), True, gains)
    chex.assert_trees_all_equal(joined, expected)


def shortened(stopped_at):
    """Trainings of one member each, of which the second stopped after some steps."""
    return [
        {
            "state": {"0": np.array([steps])},
            "scores": {"0": np.array(at), "1": np.array(at, float)[:, None] + steps},
            "meta": np.frombuffer(b'{"rows": [], "settings": {}, "empty": {}}', "u1"),
        }
        for at, steps in (([2, 4, 6], 6), ([2, 4], stopped_at))
    ]


def test_the_last_score_of_a_member_that_stopped_early_is_repeated():
    joined = joining.joined_training(shortened(4), [[0], [1]], "gru")
    assert joined["scores"]["0"].tolist() == [2, 4, 6]
    assert joined["scores"]["1"].tolist() == [[8, 6], [10, 8], [12, 8]]
    assert joined["state"]["0"].tolist() == [6, 4]


def test_a_training_that_was_not_scored_at_its_end_is_refused():
    with pytest.raises(ResultsError, match=r"of .gru. cannot be joined .* --shard"):
        joining.joined_training(shortened(5), [[0], [1]], "gru")
    first, second = shortened(4)
    del second["scores"]
    with pytest.raises(ResultsError, match="before its first evaluation"):
        joining.joined_training([first, second], [[0], [1]], "gru")
