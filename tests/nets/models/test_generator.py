"""One to many: densities, teacher forcing, and what is drawn freely."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nets
from nets.models import Mixture, SequenceGenerator, draw, log_density

LABELS = jnp.array([0, 2])
YS = jax.random.normal(jax.random.key(0), (2, 5, 3))


@pytest.fixture(scope="module")
def made():
    model = SequenceGenerator(nets.lstm(), 6, 3, outputs=3, components=2, floor=0.01)
    return model, model.init(jax.random.key(1), LABELS, YS)["params"]


def test_the_density_is_scipys():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=2), rng.normal(size=(2, 3)), rng.random((2, 3))
    mixture = Mixture(*map(jnp.asarray, parts))
    y = rng.normal(size=3)
    weights = np.exp(mixture.logits) / np.exp(mixture.logits).sum()
    parts = stats.norm.pdf(y[None], mixture.means, mixture.deviations).prod(axis=1)
    result = log_density(mixture, jnp.asarray(y))
    assert result == pytest.approx(np.log((weights * parts).sum()), rel=1e-5)


@pytest.mark.slow
def test_each_step_sees_the_steps_before_it_and_the_label(made):
    model, params = made

    def costs(labels, ys):
        return log_density(model.apply({"params": params}, labels, ys), ys)

    before = costs(LABELS, YS)
    later = costs(LABELS, YS.at[:, 3].add(1.0))
    changed = np.abs(later - before) > 0
    assert changed.tolist() == [[False, False, False, True, True]] * 2
    assert (np.abs(costs(LABELS[::-1], YS) - before) > 1e-6).all()


def test_drawing_is_teacher_forcing_with_what_was_drawn(made):
    model, params = made
    drawn = draw(model, params, LABELS, jax.random.key(2), 5, temperature=0.0)
    assert drawn.shape == (2, 5, 3)
    mixture = model.apply({"params": params}, LABELS, drawn)
    likeliest = mixture.logits.argmax(axis=-1)[..., None, None]
    means = jnp.take_along_axis(mixture.means, likeliest, axis=-2)[..., 0, :]
    chex.assert_trees_all_close(drawn, means, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_what_is_drawn_has_the_moments_of_the_mixture(made):
    model, params = made
    labels = jnp.ones(20_000, int)
    first = draw(model, params, labels, jax.random.key(3), 1)[:, 0]
    mixture = model.apply({"params": params}, labels[:1], first[:1, None])
    weights = jax.nn.softmax(mixture.logits[0, 0])[:, None]
    means, deviations = mixture.means[0, 0], mixture.deviations[0, 0]
    mean = (weights * means).sum(axis=0)
    variance = (weights * (deviations**2 + means**2)).sum(axis=0) - mean**2
    error = 5 * np.sqrt(variance / len(labels))
    assert (np.abs(first.mean(axis=0) - mean) < error).all()
    np.testing.assert_allclose(first.var(axis=0), variance, rtol=0.06)


@pytest.mark.slow
def test_batch_axes_and_a_temperature_below_zero(made):
    model, params = made
    labels = jnp.array([[0, 1, 2], [2, 1, 0]])
    assert draw(model, params, labels, jax.random.key(0), 4).shape == (2, 3, 4, 3)
    one = draw(model, params, jnp.array(1), jax.random.key(0), 4)
    assert one.shape == (4, 3)
    with pytest.raises(ValueError, match="at least 0; got -1"):
        draw(model, params, labels, jax.random.key(0), 4, -1.0)


def test_no_deviation_is_below_the_floor(made):
    model, params = made
    low = jax.tree.map(lambda leaf: leaf - 100.0, params)
    assert model.apply({"params": low}, LABELS, YS).deviations.min() >= 0.01


def test_cells_of_images_are_refused():
    model = SequenceGenerator(nets.conv_lstm(), 2, 2, 2)
    with pytest.raises(ValueError, match="a cell that reads vectors"):
        model.init(jax.random.key(0), jnp.array([0]), jnp.ones((1, 3, 2)))
