"""Bits of a label that a linear reader finds, as scikit-learn finds them."""

import sys

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nets.probes import usable_information

EXAMPLES = 53  # no multiple of any number of folds
STATIC = ("classes", "folds", "ridge")
information = jax.jit(usable_information, static_argnames=STATIC)


def by_sklearn(states, labels, folds, ridge):
    """Entropy of the labels less the held-out cross-entropy, in bits."""
    states, labels = np.asarray(states), np.asarray(labels)
    missed = np.zeros(len(labels))
    for train, test in KFold(folds).split(states):
        model = LogisticRegression(C=1 / (ridge * len(train)), tol=1e-12, max_iter=9999)
        model = make_pipeline(StandardScaler(), model).fit(states[train], labels[train])
        probabilities = model.predict_proba(states[test])
        missed[test] = -np.log2(probabilities[np.arange(len(test)), labels[test]])
    shares = np.bincount(labels) / len(labels)
    return -(shares * np.log2(shares)).sum() - missed.mean()


def readable():
    """States of very different sizes, one constant, and labels in part theirs."""
    plain = cases.normal(EXAMPLES, 6)
    labels = (plain[:, :3] + cases.normal(EXAMPLES, 3, seed=1)).argmax(axis=-1)
    states = plain * jnp.array([[1e-3, 1, 5, 1, 1e4, 1]]) + 3.0
    return states.at[:, 3].set(0.1), labels


@pytest.mark.slow
@pytest.mark.parametrize("folds", [5, 2])
@pytest.mark.parametrize("ridge", [1e-3, 1e-2, 0.3])
def test_it_equals_sklearn(folds, ridge, x64):
    states, labels = readable()
    result = information(states, labels, 3, folds=folds, ridge=ridge)
    np.testing.assert_allclose(
        result, by_sklearn(states, labels, folds, ridge), atol=1e-3
    )


def test_it_converges_to_the_result_of_sklearn(monkeypatch, x64):
    monkeypatch.setattr(sys.modules[usable_information.__module__], "_TOLERANCE", 1e-9)
    states, labels = readable()
    result = jax.jit(lambda s: usable_information(s, labels, 3))(states)
    np.testing.assert_allclose(result, by_sklearn(states, labels, 5, 1e-2), atol=1e-6)


def test_float32_is_enough():
    states, labels = readable()
    result = information(states, labels, 3)
    expected = by_sklearn(np.asarray(states, float), labels, 5, 1e-2)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_a_noisy_channel_has_its_capacity():
    """A bit that is flipped one time in ten carries 1 - H(1/10) = 0.531 bits."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(4000) % 2)
    turned = rng.permutation(np.arange(4000) % 10 == 0)
    states = jnp.asarray(np.where(turned, 1 - labels, labels), jnp.float32)[:, None]
    capacity = 1 + 0.1 * np.log2(0.1) + 0.9 * np.log2(0.9)
    result = information(states, labels, 2, ridge=1e-5)
    np.testing.assert_allclose(result, capacity, atol=0.02)


@pytest.mark.parametrize("shares", [(1, 1, 1, 1), (6, 1, 1)])
def test_a_state_that_is_the_label_has_all_information(shares):
    labels = np.random.default_rng(0).permutation(np.repeat(range(len(shares)), shares))
    labels = np.tile(labels, 30)
    states = jax.nn.one_hot(labels, len(shares))
    result = information(states, labels, len(shares), ridge=1e-6)
    p = np.array(shares) / sum(shares)
    entropy = -(p * np.log2(p)).sum()
    assert entropy - 0.02 < result <= entropy


def test_an_independent_state_has_no_information():
    labels = np.random.default_rng(0).permutation(np.arange(400) % 4)
    noise = cases.normal(400, 8)
    assert -0.2 < information(noise, labels, 4) < 0
    blank = information(jnp.full((400, 8), 0.1), labels, 4)
    assert -0.02 < blank < 1e-6  # the shares of the other folds, and no more


def test_what_misleads_has_negative_bits():
    labels = np.tile([0, 1], 40)
    turned = np.where(np.arange(80) < 40, labels, 1 - labels)
    states = jnp.asarray(turned, jnp.float32)[:, None]
    assert information(states, labels, 2, folds=2) < -1


def test_a_tree_is_one_vector_of_reals():
    states, labels = readable()
    tree = {"a": states[:, :2], "b": states[:, 2:4] + 1j * states[:, 4:]}
    chex.assert_trees_all_close(
        information(tree, labels, 3), information(states, labels, 3), atol=1e-4
    )


@pytest.mark.slow
def test_jit_and_vmap():
    states, labels = readable()
    both = jnp.stack([states, states[::-1]])
    result = jax.vmap(lambda s: information(s, labels, 3))(both)
    apart = jnp.stack([usable_information(s, labels, 3) for s in both])
    assert result.shape == (2,) and result[0] > 0.2 > result[1]
    chex.assert_trees_all_close(result, apart, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds from 2 to 9.* got 1"),
        ({"ridge": 0.0}, "a ridge above 0; got 0.0"),
        ({"ridge": -1.0}, "a ridge above 0; got -1.0"),
        ({"labels": jnp.ones(9)}, "integer labels of shape"),
        ({"labels": jnp.ones((9, 1), int)}, "integer labels of shape"),
        ({"labels": jnp.full(9, 3)}, "labels from 0 to 2, of 3 classes; got labels"),
        ({"labels": jnp.ones(5, int)}, "a target for each of 9 states; got 5"),
        ({"states": ()}, "same examples"),
    ],
)
def test_what_does_not_fit(change, message):
    good = {"states": jnp.ones((9, 2)), "labels": jnp.ones(9, int), "classes": 3}
    with pytest.raises(ValueError, match=message):
        usable_information(**{**good, **change})
