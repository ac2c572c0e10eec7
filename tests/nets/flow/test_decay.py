"""How a gradient decays, as numbers, over samples."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nets import flow
from nets.flow import half_life, log_norms

decay_profile = jax.jit(flow.decay_profile, static_argnames="reverse")
decay_rate = jax.jit(flow.decay_rate)
gradient_horizon = jax.jit(flow.gradient_horizon, static_argnames="fall")
assert_close = partial(np.testing.assert_allclose, rtol=1e-10)


def lines(*rates, time=50):
    """ln |g_t| that grow by a rate a step."""
    return np.arange(float(time))[:, None] * np.array(rates)[None]


def normal(*shape, seed=0):
    """NumPy's, whose slices and sums are not compiled."""
    return np.asarray(cases.normal(*shape, seed=seed))


def test_the_interval_is_students(x64):
    norms = lines(*(0.3 + 0.1 * normal(12))) + normal(50, 12, seed=1)
    result, slopes = decay_profile(norms), np.polyfit(np.arange(50), norms, deg=1)[0]
    test = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert_close((result.low, result.high), test)
    assert_close(result.rate, slopes.mean())
    assert_close(result.half_life, half_life(jnp.asarray(slopes.mean())))
    assert_close(result.log_norm, norms[::-1].mean(axis=1))
    assert_close(result.horizon, np.median(gradient_horizon(norms)))


def test_about_95_of_100_intervals_have_the_true_rate(x64):
    drawn = np.random.default_rng(0)
    rates = 0.2 + 0.05 * drawn.standard_normal((5, 1000))
    noise = 0.1 * drawn.standard_normal((20, 5, 1000))
    norms = np.arange(20.0)[:, None, None] * rates + noise
    result = jax.jit(jax.vmap(decay_profile, in_axes=-1))(jnp.asarray(norms))
    inside = (result.low < 0.2) & (result.high > 0.2)
    assert abs(inside.mean() - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5


def test_one_sample_has_no_interval():
    result = decay_profile(lines(0.25))
    assert np.isnan(result.low) and np.isnan(result.high)
    np.testing.assert_allclose(result.rate, 0.25, rtol=1e-5)


def test_any_number_of_axes_of_samples(x64):
    norms = normal(20, 6)
    for shape in ((20, 2, 3), (20, 6)):
        for one, other in zip(
            decay_profile(norms.reshape(shape)), decay_profile(norms), strict=True
        ):
            assert_close(one, other)
    single = decay_profile(norms[:, 0])
    assert_close(single.rate, decay_rate(norms[:, 0]))


def test_a_cell_in_reverse_is_flipped(x64):
    norms = lines(0.1, 0.2, 0.4) + normal(50, 3)
    for there, back in zip(
        decay_profile(norms), decay_profile(norms[::-1], reverse=True), strict=True
    ):
        assert_close(there, back)
    assert decay_profile(norms).rate > 0


def test_padding_is_left_out(x64):
    """Of four samples one has no gradient at all, another at one step only."""
    norms = lines(0.1, 0.3, 0.2, 0.2)
    norms[30:, 1] = norms[:, 2] = -np.inf
    norms[1:, 3] = -np.inf
    result, pair = decay_profile(norms), decay_profile(norms[:, :2])
    result = jax.tree.map(np.asarray, result)
    assert_close(result.rate, 0.2)
    assert_close((result.low, result.high), (pair.low, pair.high))
    width = 0.2 / 2 * stats.t.ppf(0.975, 1)
    assert_close(result.high - result.rate, width)
    assert_close(result.log_norm[:20], norms[::-1][:20, 0])
    assert_close(result.log_norm[20:49], norms[::-1][20:49, :2].mean(axis=1))


def test_nothing_at_all():
    result = decay_profile(np.full((5, 3), -np.inf))
    assert all(np.isnan(number) for number in result[1:])
    assert np.isneginf(result.log_norm).all()


@pytest.mark.slow
def test_under_jit(x64):
    norms = lines(0.1, 0.3, 0.2)
    norms[30:, 1] = -np.inf
    norms = jnp.asarray(norms)
    for one, other in zip(decay_profile(norms), flow.decay_profile(norms), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("rate", [0.05, 1.0, 30.0])
def test_the_reach_of_a_known_decay(rate, x64):
    result = np.asarray(gradient_horizon(lines(rate, time=200)))[0]
    assert result == np.ceil(np.log(1e3) / rate)


def test_the_reach_by_its_definition(x64):
    norms = np.log(np.abs(normal(60, 20)))
    result = np.asarray(gradient_horizon(norms, fall=0.05))
    for row, norm in enumerate(norms.T):
        back = np.exp(norm[::-1])
        steps = [k for k in range(60) if back[k] <= 0.05 * back[0]]
        assert result[row] == (steps[0] if steps else np.inf)
    assert np.isfinite(result).any() and np.isinf(result).any()


def test_where_it_does_not_fall_so_far_the_reach_is_infinite():
    assert np.isinf(gradient_horizon(lines(0.0, -0.1, 0.1))).all()


def test_the_reach_begins_at_each_sequences_end():
    norms = lines(1.0, 1.0, 1.0)
    norms[20:, 1] = norms[:, 2] = -np.inf
    np.testing.assert_array_equal(gradient_horizon(norms), [7, 7, np.nan])


def test_a_gradient_that_is_cut_off_has_fallen():
    """As by truncation: zeros before some step."""
    norms = np.full((10, 1), 2.0)
    norms[:6] = -np.inf
    assert np.asarray(gradient_horizon(norms)) == [4]


@pytest.mark.parametrize("fall", [0.0, 1.0, -1.0, 2.0])
def test_a_share_out_of_range(fall):
    with pytest.raises(ValueError, match="a share between 0 and 1"):
        flow.gradient_horizon(jnp.zeros((3, 1)), fall)


@pytest.mark.slow
def test_infinite_and_nan_gradients_stay_visible():
    """A gradient 3^k that overflows, then is nan; and one of two samples of nan."""
    g = np.ones((200, 4, 8)) * (3.0 ** np.arange(80.0, -120, -1))[:, None, None]
    g[:60], g[60:65] = np.nan, np.inf
    logs = np.asarray(jax.jit(log_norms)(g.astype(np.float32)))
    assert np.isnan(logs[:60]).all() and np.isposinf(logs[60:65]).all()
    result = jax.tree.map(np.asarray, decay_profile(logs))
    assert np.isnan(result.log_norm[140:]).all()
    assert np.isposinf(result.log_norm[135:140]).all()
    assert all(np.isnan(n) for n in (result.rate, result.half_life, result.horizon))
    norms = lines(0.1, 0.2)
    norms[3, 0] = np.nan
    broken = jax.tree.map(np.asarray, decay_profile(norms))
    assert np.isnan(broken.rate) and np.isnan(broken.log_norm[46])
    assert np.isfinite(broken.log_norm[:46]).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(dtype):
    steps = np.arange(500.0)[::-1]
    g = np.exp(-0.01 * steps)[:, None, None] * np.ones((500, 3, 8))
    logs = np.asarray(jax.jit(log_norms)(g.astype(jnp.dtype(dtype))))
    for result in (logs, logs.astype(jnp.dtype(dtype))):
        assert decay_rate(result).dtype == jnp.float32
        np.testing.assert_allclose(decay_rate(result), 0.01, rtol=0.02)
        np.testing.assert_allclose(decay_profile(result).half_life, 69.3, rtol=0.02)


def test_lists_and_numbers_will_do():
    assert flow.decay_rate([1.0, 2.0]) == 1.0
    np.testing.assert_allclose(half_life(0.1), np.log(2) / 0.1, rtol=1e-6)


def test_one_number_a_sequence_has_a_norm():
    logs = log_norms(jnp.full((6, 3), -2.0), batch_axes=1)
    np.testing.assert_allclose(logs, np.full((6, 3), np.log(2)), rtol=1e-6)
