"""Probes of states agree with scikit-learn; a delay line has a known memory."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nets
from nets.probes import linear_probe_accuracy, linear_probe_r2, memory_capacity

EXAMPLES = 53  # no multiple of any number of folds
probe = jax.jit(linear_probe_r2, static_argnames=("folds", "ridge"))
probe_labels = jax.jit(linear_probe_accuracy, static_argnames="classes")
curve_of = jax.jit(
    memory_capacity, static_argnames=("cell", "lags", "batch_axes", "reverse")
)


def by_sklearn(states, targets, folds, ridge):
    """Held-out predictions."""
    states, targets = np.asarray(states), np.asarray(targets)
    predictions = np.zeros_like(targets)
    for train, test in KFold(folds).split(states):
        # "cholesky" would not do without a penalty.
        model = make_pipeline(
            StandardScaler(), Ridge(alpha=ridge * len(train), solver="svd")
        )
        predictions[test] = model.fit(states[train], targets[train]).predict(
            states[test]
        )
    return predictions


def readable(states, columns=3, noise=0.5):
    """Targets that are in part a linear map of the states, none of mean zero."""
    w = cases.normal(states.shape[1], columns, seed=7)
    rest = cases.normal(len(states), columns, seed=8, scale=noise)
    return states @ w + rest + 10.0


@pytest.mark.parametrize(
    ("folds", "ridge"), [(5, 1e-3), (2, 0.3), (EXAMPLES, 1e-2), (5, 0.0)]
)
def test_it_equals_sklearn(folds, ridge, x64):
    states = cases.normal(EXAMPLES, 6) * jnp.array([[1e-3, 1, 5, 1, 1e4, 1]])
    states = states + 3.0
    states = states.at[:, 3].set(0.1)  # one that is constant
    targets = readable(states / states.std(axis=0, keepdims=True).at[:, 3].set(1))
    result = probe(states, targets, folds=folds, ridge=ridge)
    expected = r2_score(
        targets,
        by_sklearn(states, targets, folds, ridge),
        multioutput="raw_values",
    )
    assert result.shape == (3,) and (result > 0.1).all() and (result < 0.999).all()
    np.testing.assert_allclose(result, expected, atol=1e-8)


def test_more_entries_than_examples(x64):
    states = cases.normal(20, 40)
    targets = readable(states)
    result = probe(states, targets, folds=4, ridge=0.1)
    expected = by_sklearn(states, targets, 4, 0.1)
    np.testing.assert_allclose(
        result, r2_score(targets, expected, multioutput="raw_values"), atol=1e-8
    )


def test_noise_is_not_read_and_the_number_stays_negative():
    states, targets = cases.normal(40, 20), cases.normal(40, 4, seed=1)
    assert (probe(states, targets) < 0).all()


def test_a_tree_is_one_vector_of_reals(x64):
    a, b = cases.normal(EXAMPLES, 2, 3), cases.normal(EXAMPLES, 2, seed=1)
    count = jnp.arange(EXAMPLES) % 7
    tree = {"a": a, "b": b + 1j * b[:, ::-1] ** 2, "count": count}
    flat = [a.reshape(EXAMPLES, 6), b, b[:, ::-1] ** 2, count[:, None]]
    flat = jnp.concatenate(flat, axis=-1)
    targets = readable(flat)
    np.testing.assert_allclose(probe(tree, targets), probe(flat, targets), atol=1e-12)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_float32_is_enough(factor):
    """Columns that are nearly the same, of sizes whose squares float32 cannot hold."""
    rng = np.random.default_rng(0)
    same = rng.standard_normal((EXAMPLES, 1)) + 1e-2 * rng.standard_normal((1, 8))
    states = same + 1e-2 * rng.standard_normal((EXAMPLES, 8))
    targets = readable(states, noise=0.01)
    result = probe(
        jnp.asarray(factor * states, jnp.float32), jnp.asarray(targets, jnp.float32)
    )
    expected = r2_score(
        targets, by_sklearn(states, targets, 5, 1e-3), multioutput="raw_values"
    )
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_what_is_constant_cannot_be_read():
    states = cases.normal(EXAMPLES, 4)
    targets = jnp.stack([jnp.full(EXAMPLES, 0.1), states[:, 0]], axis=1)
    constant, varying = probe(states, targets)
    assert jnp.isnan(constant) and varying > 0.99
    blank = probe(jnp.full((EXAMPLES, 4), 0.1), targets)
    assert -0.2 < blank[1] < 1e-6  # the mean, and no more


def test_low_precision_is_read_in_float32():
    states = cases.normal(EXAMPLES, 4).astype(jnp.bfloat16)
    result = probe(states, states[:, :1].astype(jnp.float32))
    assert result.dtype == jnp.float32 and result[0] > 0.999


def delay(length):
    """A shift register: the last `length` inputs, of which the oldest comes out."""

    def step(params, state, x):
        state = jnp.concatenate([state[..., 1:, :], x[..., None, :]], axis=-2)
        return state, state[..., 0, :]

    return nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros((*x.shape[:-1], length, x.shape[-1])),
        step,
    )


def assert_remembers(curve, length):
    assert (curve[:length] > 1 - 1e-5).all()
    assert (jnp.isnan(curve[length:]) | (curve[length:] < 0.02)).all()


@pytest.mark.parametrize("lags", [None, 5])
@cases.both_ways
def test_a_delay_line_remembers_its_length(reverse, lags):
    # Of inputs in which one feature does not vary, and one varies much.
    xs = cases.normal(7, 200, 3) * jnp.array([[[1.0, 100.0, 0.0]]]) + 0.1
    curve = curve_of(delay(3), (), xs, reverse=reverse, lags=lags)
    assert curve.shape == (lags or 7,)
    assert_remembers(curve, 3)


def test_features_count_by_their_variance(x64):
    """Of inputs a and b only a is kept: their parts of the variance are 4 to 1."""

    def step(params, state, x):
        return x[..., :1], x

    cell = nets.Cell(
        lambda key, inputs, features: (), lambda p, x: jnp.zeros((200, 1)), step
    )
    xs = np.random.default_rng(0).standard_normal((2, 200, 2)) * [2.0, 1.0]
    curve = curve_of(cell, (), jnp.asarray(xs))
    last = xs[-1]
    read = by_sklearn(last[:, :1], last, 5, 1e-3)
    expected = r2_score(last, read, multioutput="variance_weighted")
    np.testing.assert_allclose(curve[0], expected, atol=1e-10)
    assert 0.7 < curve[0] < 0.85


def test_every_cell_of_a_layer_remembers_what_it_reads():
    xs = cases.normal(7, 200, 1)
    layer: Any = nets.stack(delay(3), delay(2))
    lower, upper = curve_of(layer, ((), ()), xs)
    assert_remembers(lower, 3)
    assert_remembers(upper, 2)
    # It reads x two steps late, and before that zeros.
    assert jnp.isnan(upper[5:]).all() and jnp.isfinite(upper[:5]).all()
    layer = nets.bidirectional(delay(3), delay(1))
    curves = curve_of(layer, ((), ()), xs)
    assert_remembers(curves.forward, 3)
    assert_remembers(curves.backward, 1)


def test_two_batch_axes():
    xs = cases.normal(5, 20, 10, 2)
    params = cases.draw_params(nets.gru())
    chex.assert_trees_all_close(
        curve_of(nets.gru(), params, xs, batch_axes=2),
        curve_of(nets.gru(), params, xs.reshape(5, 200, 2)),
        atol=1e-4,
    )


@cases.each_core
def test_jit_and_vmap_over_seeds(cell):
    xs = cases.normal(4, 60, cases.INPUTS)

    @jax.jit
    def one(key):
        params = cell.init(key, cases.INPUTS, cases.FEATURES)
        return curve_of(cell, params, xs)

    keys = jax.random.split(jax.random.key(0), 2)
    curves = jax.vmap(one)(keys)
    assert curves.shape == (2, 4) and jnp.isfinite(curves).all()
    assert (curves[0] != curves[1]).all()
    chex.assert_trees_all_close(curves[1], one(keys[1]), atol=1e-4)


def test_labels_are_read_where_they_can_be():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    noise = rng.standard_normal((400, 8))
    centers = 20 * rng.standard_normal((4, 8))
    read = partial(probe_labels, labels=jnp.asarray(labels), classes=4)
    assert read(jnp.asarray(noise + centers[labels])) == 1.0
    assert 0.15 < read(jnp.asarray(noise)) < 0.35


def test_labels_equal_sklearn(x64):
    states = cases.normal(EXAMPLES, 6)
    labels = (states[:, :3] + cases.normal(EXAMPLES, 3, seed=1)).argmax(axis=-1)
    read = by_sklearn(states, np.eye(3)[labels], 5, 1e-3).argmax(axis=-1)
    expected = (read == labels).mean()
    assert 0.4 < expected < 1
    np.testing.assert_allclose(probe_labels(states, labels, 3), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds from 2 to 53.* got 1"),
        ({"folds": 54}, "folds from 2 to 53.* got 54"),
        ({"ridge": -1.0}, "a ridge of 0 or above; got -1.0"),
        ({"targets": jnp.ones(EXAMPLES)}, "linear_probe_accuracy"),
        ({"targets": jnp.ones((5, 1))}, "a target for each of 53 states; got 5"),
        ({"states": {"a": jnp.ones((53, 1)), "b": jnp.ones((3, 1))}}, "same examples"),
        ({"states": ()}, "same examples"),
    ],
)
def test_what_does_not_fit_a_probe(change, message):
    good = {"states": jnp.ones((EXAMPLES, 2)), "targets": jnp.ones((EXAMPLES, 1))}
    with pytest.raises(ValueError, match=message):
        linear_probe_r2(**{**good, **change})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (jnp.ones(9), "integer labels of shape"),
        (jnp.ones((9, 1), int), "integer labels of shape"),
        (jnp.full(9, 3), "labels from 0 to 2, of 3 classes; got labels from 3 to 3"),
    ],
)
def test_what_does_not_fit_a_probe_of_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        linear_probe_accuracy(jnp.ones((9, 2)), labels, 3)


@pytest.mark.parametrize(
    ("xs", "options", "message"),
    [
        (jnp.ones((3, 9, 2)), {"lengths": jnp.full(9, 3)}, "sequences of one length"),
        (jnp.ones((3, 9, 2)), {"lags": 4}, "lags from 1 to 3.* got 4"),
        (jnp.ones((3,)), {}, "a probe needs many sequences"),
        (jnp.ones((3, 9), int), {}, "inputs of floats to predict"),
    ],
)
def test_what_does_not_fit_a_curve(xs, options, message):
    with pytest.raises(ValueError, match=message):
        memory_capacity(delay(2), (), xs, **options)
