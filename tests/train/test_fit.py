"""Many steps in one scan, many seeds in one vmap."""

import inspect
from typing import Any

import chex
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from train import (
    NonFiniteError,
    clip_stats,
    fit,
    init_state,
    make_optimizer,
    make_step,
)
from train.data.batches import epochs, in_order

XS = jax.random.normal(jax.random.key(7), (20, 3))
YS = XS @ jnp.array([1.0, -2.0, 0.5])


ADAM: Any = optax.adam(0.1)


def loss_fn(params, batch, key):
    xs, ys = batch
    noise = 0.01 * jax.random.normal(key, ys.shape)
    return ((xs @ params["w"] - ys + noise) ** 2).mean()


def start(seeds):
    return {"w": jnp.stack([jnp.full(3, 0.1 * seed) for seed in seeds])}


def train(seeds, optimizer=ADAM, **options):
    options = {"steps": 23, "batch_size": 6, "steps_per_call": 5, **options}
    return fit(loss_fn, optimizer, start(seeds), (XS, YS), seeds, **options)


def test_fit_learns():
    fitted = train([0, 1, 2], steps=300)
    expected = jnp.broadcast_to(jnp.array([1.0, -2.0, 0.5]), (3, 3))
    chex.assert_trees_all_close(fitted.params["w"], expected, atol=0.03)
    assert fitted.seconds_per_step > 0


@pytest.mark.slow
def test_seeds_trained_together_equal_each_seed_alone():
    together = train([4, 5, 6]).params["w"]
    alone = jnp.concatenate([train([seed]).params["w"] for seed in (4, 5, 6)])
    exact = jax.default_backend() == "cpu"
    chex.assert_trees_all_close(together, alone, atol=0 if exact else 1e-6, rtol=0)


@pytest.mark.slow
def test_fit_is_a_loop_of_steps_over_shuffled_epochs():
    order_key, loss_key = jax.random.split(jax.random.key(3))
    optimizer = optax.adam(0.1)
    step = jax.jit(make_step(loss_fn, optimizer))
    state = init_state(optimizer, {"w": jnp.full(3, 0.3)}, loss_key)
    for indices in epochs(order_key, 20, 6, 23):
        state, _ = step(state, (XS[indices], YS[indices]))
    chex.assert_trees_all_close(train([3]).params["w"][0], state.params["w"], atol=1e-6)


@pytest.mark.slow
def test_without_shuffling_every_seed_reads_the_data_in_order():
    def sum_of_read(params, batch, key):
        return (batch @ params).sum()

    data = jnp.eye(7)
    options: Any = {"steps": 3, "batch_size": 2, "shuffle": False}
    sgd = optax.sgd(-1.0)
    read = fit(sum_of_read, sgd, jnp.zeros((2, 7)), data, [0, 1], **options)
    again = fit(sum_of_read, sgd, read, data, [0, 1], **options | {"steps": 1})
    assert read.params.tolist() == [[1, 1, 1, 1, 1, 1, 0]] * 2
    assert again.params.tolist() == [[2, 2, 1, 1, 1, 1, 0]] * 2
    assert in_order(7, 2, steps=2, start=2).tolist() == [[4, 5], [0, 1]]


def test_the_same_seed_gives_the_same_numbers():
    chex.assert_trees_all_equal(train([1, 2]).params, train([1, 2]).params)


def test_steps_per_call_change_nothing():
    whole, parts = train([1], steps_per_call=23), train([1], steps_per_call=4)
    chex.assert_trees_all_close(whole.params, parts.params, atol=1e-6)


def test_every_call_is_logged_for_every_seed():
    rows = []
    train([8, 9], log_fn=lambda **row: rows.append(row))
    assert [(row["seed"], row["step"]) for row in rows] == [
        (seed, step) for step in (5, 10, 15, 20, 23) for seed in (8, 9)
    ]
    assert all(np.isfinite([row["loss"], row["gradient_norm"]]).all() for row in rows)


@pytest.mark.slow
def test_models_may_differ_in_their_learning_rates():
    rates = jnp.array([0.1, 0.01])
    # In float32, as injected, 1 - b2 would not be 0.001.
    constants = ("b1", "b2", "eps", "eps_root")
    adam = optax.inject_hyperparams(optax.adam, static_args=constants)(1.0)
    both = train(
        [5, 5], optimizer=adam, hyperparameters={"learning_rate": rates}
    ).params["w"]
    alone = [train([5], optimizer=optax.adam(rate)).params["w"][0] for rate in rates]
    chex.assert_trees_all_close(both, jnp.stack(alone), atol=1e-6)
    assert abs(both[0] - both[1]).max() > 0.1


def test_hyperparameters_must_be_in_the_state_of_the_optimizer():
    with pytest.raises(ValueError, match=r"inject_hyperparams.*learning_rate"):
        train([5], hyperparameters={"learning_rate": jnp.ones(1)})


@pytest.mark.slow
def test_hyperparameters_reach_an_optimizer_behind_a_clip_and_a_schedule():
    rates = jnp.array([0.1, 0.01])
    make = optax.inject_hyperparams(make_optimizer, static_args=("name", "clip_norm"))

    def optimizer(rate, make=make_optimizer):
        schedule = optax.cosine_decay_schedule(1.0, 23)
        return optax.chain(make("adam", rate, 0.5), optax.scale_by_schedule(schedule))

    both = train([5, 5], optimizer(1.0, make), hyperparameters={"learning_rate": rates})
    alone = [train([5], optimizer(rate)).params["w"][0] for rate in rates]
    chex.assert_trees_all_close(both.params["w"], jnp.stack(alone), atol=1e-6)
    stats = clip_stats(both.opt_state)
    assert stats is not None and stats.rate.shape == (2,)


def test_a_model_that_diverges_does_not_stop_the_others():
    rates, errors = jnp.array([0.1, 1e6]), []
    fitted = train(
        [5, 5],
        optimizer=optax.inject_hyperparams(optax.sgd)(1.0),
        hyperparameters={"learning_rate": rates},
        steps=60,
        on_nonfinite="drop_member",
        nonfinite_fn=errors.append,
    )
    alone = train([5], optimizer=optax.sgd(0.1), steps=60).params["w"][0]
    chex.assert_trees_all_close(fitted.params["w"][0], alone, atol=1e-6)
    (error,) = errors
    assert fitted.training.tolist() == [True, False]
    assert fitted.nonfinite.tolist() == [0, 1]
    assert fitted.state.step.tolist() == [60, error.step - 1]
    assert jnp.isfinite(fitted.params["w"]).all()
    assert "seed 5, learning_rate 1e+06: the" in str(error)


def test_an_epoch_sees_every_example_once():
    order = epochs(jax.random.key(0), examples=12, batch_size=4, steps=9)
    first, second, third = order.reshape(3, 12)
    for epoch in (first, second, third):
        assert sorted(epoch.tolist()) == list(range(12))
    assert first.tolist() != second.tolist()


def test_a_loss_that_is_not_finite_stops_with_the_step_and_its_name():
    def loss_fn(params, batch, key):
        return jnp.where(params > 3.5, jnp.inf, -params) + 0 * batch.mean()

    rows = []
    with pytest.raises(NonFiniteError, match="step 5, seed 11: the loss") as caught:
        fit(
            loss_fn,
            optax.sgd(1.0),  # the parameter is n after n steps
            jnp.zeros(1),
            jnp.ones(4),
            [11],
            steps=9,
            batch_size=2,
            steps_per_call=3,
            log_fn=lambda **row: rows.append(row),
        )
    assert (caught.value.step, caught.value.seed) == (5, 11)
    assert [row["step"] for row in rows] == [3, 4]  # what was good stays


def test_a_gradient_that_is_not_finite_is_named():
    def loss_fn(params, batch, key):  # sqrt has no slope at 0, but a value
        return jnp.sqrt(params["dense"]["w"]) + params["b"] ** 2 + 0 * batch.mean()

    params = {"dense": {"w": jnp.zeros(2)}, "b": jnp.ones(2)}
    with pytest.raises(
        NonFiniteError, match=r"step 1, seed 0: the gradient of dense\.w"
    ):
        fit(loss_fn, optax.sgd(0.1), params, jnp.ones(4), [0, 1], steps=2, batch_size=2)


def test_a_parameter_that_is_not_finite_is_named_even_in_the_last_step():
    def loss_fn(params, batch, key):
        return 1e10 * params["w"] + 0 * batch.mean()

    with pytest.raises(NonFiniteError, match="step 1, seed 0: the parameter w"):
        fit(
            loss_fn,
            optax.sgd(1e30),
            {"w": jnp.zeros(1)},
            jnp.ones(4),
            [0],
            steps=1,
            batch_size=2,
        )


@pytest.mark.slow
def test_data_that_is_not_finite_is_named():
    with pytest.raises(NonFiniteError, match="the data 1"):
        fit(
            loss_fn,
            optax.sgd(0.1),
            start([0]),
            (XS, YS.at[0].set(jnp.nan)),
            [0],
            steps=20,
            batch_size=10,
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 0}, "expected at least 1 step; got 0"),
        ({"batch_size": 21}, "expected a batch size from 1 to 20.*got 21"),
        ({"batch_size": 0}, "expected a batch size from 1 to 20.*got 0"),
    ],
)
def test_bad_sizes_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        train([0], **options)


def test_parameters_must_be_stacked_over_seeds():
    with pytest.raises(ValueError, match="stacked over 3 seeds"):
        fit(
            loss_fn,
            optax.sgd(0.1),
            start([0, 1]),
            (XS, YS),
            [0, 1, 2],
            steps=1,
            batch_size=2,
        )


def test_data_must_be_of_one_length():
    with pytest.raises(ValueError, match="of one length"):
        fit(
            loss_fn,
            optax.sgd(0.1),
            start([0]),
            (XS, YS[:5]),
            [0],
            steps=1,
            batch_size=2,
        )


@pytest.mark.slow
def test_a_probe_runs_before_every_nth_step():
    """It sees what a training that ends there leaves."""

    def probe(params):
        return {"first": params["w"][0], "norm": (params["w"] ** 2).sum()}

    fitted = train([3, 4], probe=probe, probe_every=4)
    chex.assert_trees_all_close(fitted.params, train([3, 4]).params, atol=1e-6)
    assert fitted.probes is not None
    steps, values = fitted.probes
    assert steps.tolist() == [0, 4, 8, 12, 16, 20]
    assert values["first"].shape == (6, 2)
    np.testing.assert_allclose(values["first"][0], [0.3, 0.4], rtol=1e-6)
    for row in (1, 5):
        there = train([3, 4], steps=int(steps[row])).params["w"]
        np.testing.assert_allclose(values["first"][row], there[:, 0], atol=1e-6)
        np.testing.assert_allclose(
            values["norm"][row], (there**2).sum(axis=1), rtol=1e-5
        )


def test_without_a_probe_probes_is_none():
    assert train([3]).probes is None
    with pytest.raises(ValueError, match="at least 1 step; got 0"):
        train([3], probe_every=0)


def test_clip_stats_count_the_clipped_steps():
    """Against the norms that are recorded step by step."""
    limit, rows = 1.5, []
    fitted = train(
        [1, 2],
        optimizer=make_optimizer("sgd", 0.05, clip_norm=limit),
        steps_per_call=1,
        log_fn=lambda **row: rows.append(row),
    )
    report = clip_stats(fitted.opt_state)
    assert report is not None
    for i, seed in enumerate((1, 2)):
        norms = np.array([r["gradient_norm"] for r in rows if r["seed"] == seed])
        assert 0 < (norms > limit).mean() < 1
        np.testing.assert_allclose(report.rate[i], (norms > limit).mean(), rtol=1e-6)
        np.testing.assert_allclose(report.norm[i], norms[-1], rtol=1e-6)


def test_clip_with_stats_equals_optax_clip_by_global_norm():
    for gradient in (jnp.array([3.0, 4.0]), jnp.array([0.3, 0.4])):
        ours = make_optimizer("adam", 0.1, clip_norm=1.0)
        theirs = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
        updates, _ = ours.update(gradient, ours.init(gradient))
        expected, _ = theirs.update(gradient, theirs.init(gradient))
        chex.assert_trees_all_equal(updates, expected)


@pytest.mark.slow
def test_without_jit_the_numbers_are_the_same():
    def loss_fn(w, x, key):
        return ((w - x) ** 2).mean()

    def trained():
        return fit(
            loss_fn,
            optax.adam(0.1),
            jnp.zeros(2),
            jnp.arange(8.0),
            [0, 1],
            steps=5,
            batch_size=4,
            steps_per_call=2,
            probe=lambda w: w,
            probe_every=2,
        )

    compiled = trained()
    with jax.disable_jit():
        plain = trained()
    np.testing.assert_allclose(plain.params, compiled.params, rtol=5e-6)
    assert compiled.probes is not None and plain.probes is not None
    np.testing.assert_allclose(
        plain.probes.values, compiled.probes.values, rtol=5e-6, atol=1e-7
    )


def test_help_prints_types_by_their_names():
    for function in (fit, make_step, init_state):
        text = str(inspect.signature(function))
        assert " at 0x" not in text and "jaxlib" not in text and "Union" not in text
    assert "params: 'Params | FitResult'" in str(inspect.signature(fit))


def test_types_are_still_checked():
    with pytest.raises(jaxtyping.TypeCheckError):
        make_step(print, "adam")  # type: ignore[arg-type]
