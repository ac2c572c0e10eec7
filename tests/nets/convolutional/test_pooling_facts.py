"""Pools and their inverse: exact facts, and errors."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close_to_peers as assert_close

import nets


def distinct(*shape):
    return np.random.default_rng(0).standard_normal((2, *shape, 3), np.float32)


def test_windows_of_6_by_3_with_stride_2():
    xs = jnp.arange(6.0)[:, None]
    pool = partial(nets.max_pool, xs, (3,), strides=2)
    assert pool()[:, 0].tolist() == [2, 4]
    assert pool(ceil_mode=True)[:, 0].tolist() == [2, 4, 5]
    assert pool(padding="same")[:, 0].tolist() == [2, 4, 5]


def test_the_stride_is_the_window():
    assert nets.max_pool(jnp.ones((7, 9, 1)), (2, 3)).shape == (3, 3, 1)


def test_same_means_divide_by_what_is_real():
    """The last window of 3x3 in 8x8, at a stride of 2, sees 2x2: padding is (0, 1)."""
    pool = partial(nets.mean_pool, window=(3, 3), strides=2, padding="same")
    fours = jnp.full((8, 8, 1), 4.0)
    assert (pool(fours) == 4).all()
    np.testing.assert_allclose(pool(fours, count_padding=True)[-1, -1], 16 / 9)
    np.testing.assert_allclose(pool(fours, count_padding=True)[0, 0], 4)


def test_dilated_means():
    xs = distinct(7)[..., :1]
    ys = nets.mean_pool(jnp.asarray(xs), (2,), strides=1, dilation=3, padding=1)
    padded = np.pad(xs, ((0, 0), (1, 1), (0, 0)))
    wanted = (padded[:, :-3] + padded[:, 3:]) / np.array([1, 2, 2, 2, 2, 1])[:, None]
    assert_close(ys, wanted)


def test_padding_is_below_any_number():
    for dtype in (jnp.int8, jnp.int32, jnp.float32):
        xs = jnp.full((2, 1), -100, dtype)
        ys = nets.max_pool(xs, (3,), strides=1, padding="same")
        assert ys.dtype == dtype and (ys == -100).all()
    shown = nets.max_pool(jnp.array([[False], [True]]), (2,), strides=1, padding=1)
    assert shown[:, 0].tolist() == [False, True, True]


def test_padding_of_pairs_may_be_larger_than_half_the_window():
    xs = jnp.arange(1.0, 5)[:, None]
    ys = nets.max_pool(xs, (3,), strides=1, padding=[(2, 0)])
    assert ys[:, 0].tolist() == [1, 2, 3, 4]


def test_nan_is_seen():
    xs = jnp.array([1.0, np.nan, 2.0, 3.0, 4.0, 5.0])[:, None]
    for dilation in (1, 2):
        ys = nets.max_pool(xs, (2,), strides=1, dilation=dilation)[:, 0]
        wanted = [np.isnan(xs[i] + xs[i + dilation])[0] for i in range(len(ys))]
        assert np.isnan(ys).tolist() == wanted
    assert np.isnan(nets.global_max_pool(xs, 1)).all()
    assert np.isnan(nets.adaptive_max_pool(xs, (4,))).ravel().tolist() == [1, 1, 0, 0]


def kept(xs):
    """Only the maxima."""
    ys, indices = nets.max_pool(xs, (2, 2), return_indices=True)
    return nets.unpool(ys, indices, (5, 5))


KINDS = {
    "max": lambda xs: nets.max_pool(xs, (2, 3), strides=2, padding=1),
    "dilated": lambda xs: nets.max_pool(xs, (2, 2), strides=1, dilation=2),
    "mean": lambda xs: nets.mean_pool(xs, (3, 2), strides=2, padding="same"),
    "lp": lambda xs: nets.lp_pool(xs, (2, 2), 3.0, padding=1),
    "global max": lambda xs: nets.global_max_pool(xs, 2),
    "global mean": lambda xs: nets.global_mean_pool(xs, 2),
    "adaptive max": lambda xs: nets.adaptive_max_pool(xs, (3, 2)),
    "adaptive mean": lambda xs: nets.adaptive_mean_pool(xs, (3, 2)),
    "unpool": kept,
}


@pytest.mark.parametrize("pool", KINDS.values(), ids=KINDS)
def test_batches_dtypes_and_both_modes(pool):
    """Any batch axes, under vmap, in bfloat16, and forwards as backwards."""
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((2, 2, 4, 4, 2), np.float32)
    tangent = rng.standard_normal(xs.shape, np.float32)

    @jax.jit
    def program(xs, tangent):
        ys, moved = jax.jvp(pool, (xs,), (tangent,))
        pulled = jax.vjp(pool, xs)[1](jnp.cos(ys))[0]
        return {
            "ys": ys,
            "apart": jax.vmap(pool)(xs),
            "alone": pool(xs[1, 1]),
            "forwards": (moved * jnp.cos(ys)).sum(),
            "backwards": (pulled * tangent).sum(),
            "short": pool(xs.astype(jnp.bfloat16)),
        }

    result = program(xs, tangent)
    assert_close(result["ys"], result["apart"])
    assert_close(result["ys"][1, 1], result["alone"])
    assert_close(result["forwards"], result["backwards"])
    assert result["ys"].dtype == jnp.float32 and result["short"].dtype == jnp.bfloat16
    np.testing.assert_allclose(
        result["short"].astype(jnp.float32), result["ys"], rtol=0.03, atol=0.03
    )


def test_lowered_for_accelerators():
    """Forward and gradient of all are written for what is not here."""

    def total(xs):
        return sum(jnp.sin(pool(xs)).sum() for pool in KINDS.values())

    xs = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)
    platforms = ["cpu", "cuda", "tpu"]
    exported = jax.export.export(jax.jit(jax.grad(total)), platforms=platforms)(xs)
    assert exported.platforms == tuple(platforms)


def test_means_of_integers_are_not_integers():
    xs = jnp.array([1, 2, 4, 5])[:, None]
    assert nets.mean_pool(xs, (2,))[:, 0].tolist() == [1.5, 4.5]
    assert nets.global_mean_pool(xs, 1).tolist() == [3]
    assert nets.adaptive_mean_pool(xs, (2,))[:, 0].tolist() == [1.5, 4.5]
    assert nets.lp_pool(xs[:2] * jnp.array([[3], [2]]), (2,)).tolist() == [[5]]
    assert nets.mean_pool(xs, (2,)).dtype == jnp.float32


def test_short_floats_are_summed_as_longer_ones():
    ones = jnp.ones((32, 32, 1), jnp.bfloat16)
    assert nets.mean_pool(ones, (32, 32)).tolist() == [[[1]]]
    assert nets.global_mean_pool(ones, 2).tolist() == [1]


def test_the_gradient_goes_to_the_first_maximum():
    ones = jnp.ones((4, 4, 1))

    @jax.jit
    def gradients(xs):
        return [jax.grad(lambda xs, pool=pool: pool(xs).sum())(xs) for pool in pools]

    pools = [
        lambda xs: nets.max_pool(xs, (2, 2)),
        lambda xs: nets.global_max_pool(xs, 2),
        lambda xs: nets.max_pool(xs, (2, 2), strides=1, dilation=3),
        lambda xs: nets.adaptive_max_pool(xs, (3, 1)),
    ]
    corners, first, dilated, adaptive = (g[..., 0] for g in gradients(ones))
    np.testing.assert_array_equal(corners, np.kron(np.ones((2, 2)), [[1, 0], [0, 0]]))
    np.testing.assert_array_equal(first, np.eye(16)[0].reshape(4, 4))
    np.testing.assert_array_equal(dilated, first)
    wanted = np.zeros((4, 4))
    wanted[:3, 0] = 1
    np.testing.assert_array_equal(adaptive, wanted)


def test_gradients_sum_to_what_came_from_above():
    """A pool only hands on: no window's gradient is lost, or counted twice."""
    # Quarters, so that windows often have several maxima.
    xs = np.random.default_rng(0).integers(-4, 5, (2, 7, 6, 3)).astype(np.float32) / 4

    @jax.jit
    def program(xs):
        ys, back = jax.vjp(
            lambda xs: nets.max_pool(xs, (3, 2), strides=(1, 2), padding=[(1, 1)] * 2),
            xs,
        )
        above = jnp.sin(jnp.arange(ys.size, dtype=ys.dtype)).reshape(ys.shape)
        return above.sum((1, 2)), back(above)[0].sum((1, 2))

    assert_close(*program(xs))


def test_unpool_inverts_max_pool():
    xs = distinct(6, 4) + 10  # no maximum is below the zeros

    @jax.jit
    def program(xs):
        ys, indices = nets.max_pool(xs, (2, 2), return_indices=True)
        back = nets.unpool(ys, indices, (6, 4))
        return ys, back, nets.max_pool(back, (2, 2))

    ys, back, again = program(xs)
    np.testing.assert_array_equal(again, ys)
    assert (back != 0).sum() == ys.size
    np.testing.assert_array_equal(back[back != 0], xs[back != 0])


def test_unpool_keeps_one_of_those_at_the_same_place():
    xs = jnp.array([0.0, 7.0, 1.0])[:, None]

    @jax.jit
    def program(xs):
        ys, indices = nets.max_pool(xs, (2,), strides=1, return_indices=True)
        back, pull = jax.vjp(lambda ys: nets.unpool(ys, indices, (3,)), ys)
        return indices, back, *pull(jnp.ones_like(back))

    indices, back, grads = program(xs)
    assert indices.ravel().tolist() == [1, 1]
    assert back.ravel().tolist() == [0, 7, 0]
    assert sorted(grads.ravel().tolist()) == [0, 1]


def test_unpool_leaves_out_what_lies_outside():
    places = jnp.array([-1, 4, 1])[:, None]
    back = nets.unpool(jnp.ones((3, 1)), places, (4,))
    assert back.ravel().tolist() == [0, 1, 0, 0]


def test_lp_pools_between_sum_and_maximum():
    xs = jnp.asarray(distinct(6))
    pool = partial(nets.lp_pool, xs, (3,))
    assert_close(pool(1), jnp.abs(xs).reshape(2, 2, 3, 3).sum(2))
    assert_close(pool(math.inf), nets.max_pool(jnp.abs(xs), (3,)))
    assert_close(pool(200.0), pool(math.inf) * 1.003, rtol=0.004)
    assert_close(
        nets.lp_pool(xs, (3,), strides=1, padding="same")[:, 0],
        jnp.sqrt(xs[:, 0] ** 2 + xs[:, 1] ** 2),
    )


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, math.inf])
def test_lp_pools_of_zeros_and_of_large_numbers(p):
    xs = jnp.array([0, 0, 3e30, 0, 2e-30, 0, np.inf, 1, np.nan, 1])[:, None]

    @jax.jit
    def program(xs):
        ys, back = jax.vjp(lambda xs: nets.lp_pool(xs, (2,), p), xs)
        return ys, *back(jnp.ones_like(ys))

    ys, grads = program(xs)
    np.testing.assert_allclose(ys[:, 0], [0, 3e30, 2e-30, np.inf, np.nan], rtol=1e-5)
    np.testing.assert_allclose(grads[:6, 0], [0, 0, 1, 0, 1, 0], atol=1e-5)


IMAGE = (4, 4, 1)
ERRORS = {
    "reflect": (
        lambda xs: nets.max_pool(xs, (2, 2), padding="reflect"),
        "valid, same, an integer, or a pair .* in a pool; got 'reflect'",
    ),
    "causal": (
        lambda xs: nets.mean_pool(xs, (2, 2), padding="causal"),
        "in a pool; got 'causal'",
    ),
    "pairs": (
        lambda xs: nets.max_pool(xs, (2, 2), padding=[(1, 1)]),
        "or 2 such pairs .before, after.",
    ),
    "window": (
        lambda xs: nets.max_pool(xs, (0, 0)),
        r"expected window to be a tuple of positive integers, .* got \(0, 0\)",
    ),
    "strides": (
        lambda xs: nets.max_pool(xs, (2, 2), strides=(2,)),
        r"expected strides .* 2 of them, one for each spatial axis; got \(2,\)",
    ),
    "dilation": (
        lambda xs: nets.mean_pool(xs, (2, 2), dilation=0),
        "expected dilation to be an integer of at least 1",
    ),
    "too large": (
        lambda xs: nets.mean_pool(xs, (5, 2)),
        "as large as the window: the padded input is 4x4, the window spans 5x2",
    ),
    "padding alone": (
        lambda xs: nets.max_pool(xs, (2, 2), padding=((0, 0), (2, 1))),
        r"on an axis of length 4, padded by \(2, 1\), window 0 covers only padding",
    ),
    "padding alone behind": (
        lambda xs: nets.lp_pool(xs, (2, 2), padding=((0, 3), (0, 0))),
        r"on an axis of length 4, padded by \(0, 3\), window 2 covers only padding",
    ),
    "axes": (
        lambda xs: nets.max_pool(xs, (2, 2, 2)),
        r"channels\] for a pool with a 2x2x2 window; got shape \[4, 4, 1\]",
    ),
    "p": (lambda xs: nets.lp_pool(xs, (2, 2), 0), "a number above 0, .*; got 0"),
    "global": (lambda xs: nets.global_max_pool(xs, 0), "spatial axes .*; got 0"),
    "global axes": (
        lambda xs: nets.global_mean_pool(xs, 3),
        r"depth, height, width, channels\] for a global pool",
    ),
    "no sizes": (
        lambda xs: nets.adaptive_max_pool(xs, ()),
        "adaptive pool.*got \\(\\)",
    ),
    "small sizes": (
        lambda xs: nets.adaptive_mean_pool(xs, (0, 0)),
        "expected sizes to be an integer of at least 1",
    ),
    "more sizes": (
        lambda xs: nets.adaptive_mean_pool(xs, (1, 1, 1)),
        "for an adaptive pool; got shape",
    ),
    "indices": (
        lambda xs: nets.unpool(xs, jnp.zeros((2, 2, 1), int), (8, 8)),
        r"numbers of shape \[4, 4, 1\] and indices of shape \[2, 2, 1\]",
    ),
    "space": (
        lambda xs: nets.unpool(xs, jnp.zeros(IMAGE, int), (8, 8, 8)),
        "for unpooling to 8x8x8; got shape",
    ),
    "no space": (
        lambda xs: nets.unpool(xs, jnp.zeros(IMAGE, int), (0, 0)),
        "expected the output's space to be a tuple of positive integers",
    ),
}


@pytest.mark.parametrize("call, sentence", ERRORS.values(), ids=ERRORS)
def test_errors_name_what_was_expected(call, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        jax.eval_shape(call, jax.ShapeDtypeStruct(IMAGE, jnp.float32))
