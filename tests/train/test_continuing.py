"""Training that continues from the state of an earlier one."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import FitResult, fit, make_optimizer
from train.data.batches import epochs

XS = np.random.default_rng(7).standard_normal((20, 3), np.float32)
YS = XS @ np.array([1.0, -2.0, 0.5], np.float32)
SEEDS = [4, 9]
CLIPPED = make_optimizer("adam", 0.1, clip_norm=1.0)
SCHEDULED = optax.chain(
    CLIPPED, optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, 80))
)


def loss_fn(params, batch, key):
    xs, ys = batch
    noise = 0.01 * jax.random.normal(key, ys.shape)
    return ((xs @ params["w"] - ys + noise) ** 2).mean()


def start(count):
    return {"w": np.full((count, 3), 0.1, np.float32)}


def train(params, steps, seeds=SEEDS, optimizer: Any = SCHEDULED, **options):
    rows = []
    fitted = fit(
        loss_fn,
        optimizer,
        params,
        (XS, YS),
        seeds,
        steps=steps,
        batch_size=6,
        log_fn=lambda **row: rows.append(row),
        **options,
    )
    return fitted, rows


def test_40_and_40_steps_are_80_bit_for_bit():
    def probe(params):
        return (params["w"] ** 2).sum()

    options = {"probe": probe, "probe_every": 30}
    whole, rows = train(start(2), 80, **options)
    first, earlier = train(start(2), 40, **options)
    second, later = train(first, 40, **options)
    chex.assert_trees_all_equal(second.state, whole.state)
    assert whole.state.step.tolist() == [80, 80]
    assert earlier + later == rows
    assert whole.probes is not None and first.probes is not None
    assert first.probes.steps.tolist() == [0, 30]
    chex.assert_trees_all_equal(second.probes, whole.probes)


def test_a_training_cut_anywhere_logs_the_same_steps_afterwards():
    whole, rows = train(start(2), 60)
    first, _ = train(start(2), 27)
    second, later = train(first, 33)
    chex.assert_trees_all_equal(second.params, whole.params)
    assert [row["step"] for row in later] == [40, 40, 60, 60]
    assert later[-2:] == rows[-2:]


def test_the_result_so_far_is_saved_every_so_many_steps():
    results = []
    whole, rows = train(start(2), 60, save_fn=results.append, save_every=25)
    assert [result.state.step.tolist() for result in results] == [[25, 25], [50, 50]]
    assert [row["step"] for row in rows[::2]] == [20, 25, 40, 50, 60]
    for result in results:
        assert isinstance(result, FitResult)
        rest, _ = train(result, 60 - int(result.state.step[0]))
        chex.assert_trees_all_equal(rest.state, whole.state)


def test_a_learning_rate_may_change_on_the_way():
    optimizer = optax.inject_hyperparams(optax.sgd)(0.1)
    first, _ = train(start(2), 20, optimizer=optimizer)
    rates = {"learning_rate": jnp.array([0.1, 0.0])}
    second, _ = train(first, 20, optimizer=optimizer, hyperparameters=rates)
    moved = (second.params["w"] != first.params["w"]).any(axis=1)
    assert moved.tolist() == [True, False]


def test_the_state_must_be_that_of_the_same_seeds():
    first, _ = train(start(2), 1)
    with pytest.raises(ValueError, match="the state of other seeds"):
        train(first, 1, seeds=[9, 4])
    with pytest.raises(ValueError, match="stacked over 1 seeds"):
        train(first, 1, seeds=[4])
    uneven = first._replace(state=first.state._replace(step=jnp.array([1, 2])))
    with pytest.raises(ValueError, match=r"equally many steps; got \[1, 2\]"):
        train(uneven, 1)
    with pytest.raises(ValueError, match="save_every of at least 1 step; got 0"):
        train(start(2), 1, save_fn=print, save_every=0)


@pytest.mark.parametrize("start", [1, 3, 4, 7])
def test_later_steps_see_the_same_examples(start):
    """Epochs have 3 steps here."""
    key = jax.random.key(2)
    whole = epochs(key, examples=7, batch_size=2, steps=9)
    later = epochs(key, examples=7, batch_size=2, steps=9 - start, start=start)
    assert later.tolist() == whole[start:].tolist()
