"""Checkpoints and rows of shards, joined along the axis of members."""

import numpy as np
import pytest

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
