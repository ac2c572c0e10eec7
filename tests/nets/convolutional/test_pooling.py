"""Pools and their inverse: PyTorch's, Keras's and Flax's numbers, and exact facts."""

import math
from functools import partial

import flax.linen
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import optimized_jit, run
from tolerances import close_to_peers as close

import nets


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install -e '.[peers]'")


def draw(*shape):
    """Quarters from -1 to 1, so that windows often have several maxima."""
    rng = np.random.default_rng(0)
    return (rng.integers(-4, 5, (2, *shape, 3)) / 4).astype(np.float32)


def distinct(*shape):
    return np.random.default_rng(0).standard_normal((2, *shape, 3), np.float32)


def channels_first(torch, xs):
    return torch.tensor(np.moveaxis(xs, -1, 1), requires_grad=True)


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def their(torch, xs, function):
    """The same of torch's function."""
    fed = channels_first(torch, xs)
    ys = function(fed)
    torch.sin(ys).sum().backward()
    return channels_last(ys), channels_last(fed.grad)


# Space, window, strides, padding, dilation, ceil_mode.
POOLS = [
    ((8,), (2,), (2,), (0,), (1,), False),
    ((7,), (3,), (2,), (1,), (1,), True),
    ((6,), (3,), (2,), (0,), (1,), True),
    ((2,), (3,), (2,), (0,), (1,), True),  # no window fits, but for ceil_mode
    ((9,), (3,), (1,), (1,), (2,), False),
    ((10,), (3,), (3,), (1,), (2,), True),
    ((6, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((7, 5), (3, 2), (2, 1), (1, 1), (1, 1), False),
    ((7, 6), (3, 2), (2, 3), (1, 1), (1, 1), True),
    ((7, 5), (2, 3), (4, 3), (1, 0), (1, 1), True),
    ((6, 7), (2, 3), (1, 2), (1, 1), (2, 1), False),
    ((4, 5, 4), (2, 2, 2), (2, 2, 2), (0, 1, 0), (1, 1, 1), True),
    ((5, 4, 5), (3, 2, 2), (2, 1, 3), (1, 1, 0), (1, 2, 1), True),
]


@pytest.mark.peers
@pytest.mark.parametrize("space, window, strides, padding, dilation, ceil", POOLS)
def test_equal_to_torch(torch, space, window, strides, padding, dilation, ceil):
    xs, axes, pool = draw(*space), len(space), torch.nn.functional
    options = {
        "strides": strides,
        "padding": [(p, p) for p in padding],
        "ceil_mode": ceil,
    }
    mine = [partial(nets.max_pool, window=window, dilation=dilation, **options)]
    theirs = [
        partial(
            getattr(pool, f"max_pool{axes}d"),
            kernel_size=window,
            stride=strides,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil,
        )
    ]
    for count in (False, True) if set(dilation) == {1} else ():
        mine += [partial(nets.mean_pool, window=window, count_padding=count, **options)]
        theirs += [
            partial(
                getattr(pool, f"avg_pool{axes}d"),
                kernel_size=window,
                stride=strides,
                padding=padding,
                ceil_mode=ceil,
                count_include_pad=count,
            )
        ]
    close(run(xs, *mine), [their(torch, xs, function) for function in theirs])


# Where windows overlap, torch keeps the gradient of all that have a place in common.
@pytest.mark.peers
@pytest.mark.parametrize(
    "space, window, padding",
    [
        ((9,), (2,), (1,)),
        ((5, 6), (2, 3), (1, 0)),
        ((4, 4, 5), (2, 2, 1), (0, 0, 0)),
    ],
)
def test_indices_and_unpool_equal_torch(torch, space, window, padding):
    xs, axes = draw(*space), len(space)
    pairs = [(p, p) for p in padding]

    @optimized_jit
    def ours(xs):
        pool = partial(nets.max_pool, window=window, padding=pairs, return_indices=True)
        ys, pull, indices = jax.vjp(pool, xs, has_aux=True)
        again, back = jax.vjp(lambda ys: nets.unpool(ys, indices, space), ys)
        (grad,) = back(jnp.cos(again))
        return ys, indices, again, grad, *pull(grad)

    fed = channels_first(torch, xs)
    functional = torch.nn.functional
    ys, indices = getattr(functional, f"max_pool{axes}d")(
        fed, window, padding=padding, return_indices=True
    )
    ys.retain_grad()
    again = getattr(functional, f"max_unpool{axes}d")(
        ys, indices, window, padding=padding, output_size=space
    )
    torch.sin(again).sum().backward()
    found = ours(xs)
    assert found[1].dtype == jnp.int32
    theirs = (ys, indices, again, ys.grad, fed.grad)
    close(found, tuple(map(channels_last, theirs)))


@pytest.mark.peers
def test_indices_of_dilated_and_overlapping_windows_equal_torch(torch):
    xs = draw(7, 8)
    xs[0, :, :, 0] = -np.inf  # as small as the padding, and yet it is found
    xs[1, 2:4, 3:5, 1] = np.nan
    ours = optimized_jit(
        partial(
            nets.max_pool,
            window=(3, 3),
            strides=(2, 1),
            padding=1,
            ceil_mode=True,
            return_indices=True,
        ),
        static_argnames="dilation",
    )
    for dilation in (1, 2):
        theirs = torch.nn.functional.max_pool2d(
            channels_first(torch, xs), 3, (2, 1), 1, dilation, True, return_indices=True
        )
        found = ours(xs, dilation=dilation)
        for one, other in zip(found, theirs, strict=True):
            np.testing.assert_array_equal(one, channels_last(other))


@pytest.mark.peers
@pytest.mark.parametrize(
    "space, window, strides, p, ceil",
    [
        ((7,), (3,), (2,), 2, True),
        ((8,), (2,), (2,), 3, False),
        ((6, 7), (2, 3), (2, 2), 2.0, True),
        ((6, 6), (2, 2), (1, 2), 2.5, False),
        ((6, 6), (3, 3), (2, 2), 1, True),
    ],
)
def test_lp_pool_equals_torch(torch, space, window, strides, p, ceil):
    xs = distinct(*space)
    xs = xs if p == 2 else np.abs(xs) + 0.1
    pool = getattr(torch.nn.functional, f"lp_pool{len(space)}d")
    size, step = (window, strides) if len(space) > 1 else (window[0], strides[0])
    close(
        run(
            xs,
            partial(nets.lp_pool, window=window, p=p, strides=strides, ceil_mode=ceil),
        ),
        [their(torch, xs, lambda fed: pool(fed, p, size, step, ceil))],
    )


@pytest.mark.peers
@pytest.mark.parametrize(
    "space, sizes",
    [
        ((7,), (3,)),
        ((3,), (5,)),
        ((6, 7), (4, 3)),
        ((7, 6), (None, 4)),
        ((8, 6), (2, 3)),
    ],
)
def test_adaptive_pools_equal_torch(torch, space, sizes):
    xs, functional = draw(*space), torch.nn.functional
    names = [f"adaptive_{kind}_pool{len(space)}d" for kind in ("max", "avg")]
    mine = (nets.adaptive_max_pool, nets.adaptive_mean_pool)
    close(
        run(xs, *(partial(function, sizes=sizes) for function in mine)),
        [
            their(torch, xs, partial(getattr(functional, n), output_size=sizes))
            for n in names
        ],
    )


@pytest.mark.peers
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_global_pools_equal_torch(torch, axes):
    """Adaptive pools of size 1 are, of which the first maximum has the gradient."""
    xs, functional = draw(*(3, 2, 4)[:axes]), torch.nn.functional
    kinds = [getattr(functional, f"adaptive_{k}_pool{axes}d") for k in ("max", "avg")]
    mine = [
        partial(f, axes=axes) for f in (nets.global_max_pool, nets.global_mean_pool)
    ]
    theirs = [lambda fed, f=f: f(fed, 1).flatten(1) for f in kinds]
    close(run(xs, *mine), [their(torch, xs, function) for function in theirs])


sizes = st.integers(1, 4)


@pytest.mark.peers
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 12), sizes, sizes, sizes, st.integers(0, 2), st.booleans())
def test_sizes_equal_torch(n, window, strides, dilation, padding, ceil):
    torch = pytest.importorskip("torch")
    padding = min(padding, window // 2)
    try:
        theirs = torch.nn.functional.max_pool1d(
            torch.zeros(1, 1, n), window, strides, padding, dilation, ceil
        ).shape[-1]
    except RuntimeError:
        theirs = None
    pool = partial(
        nets.max_pool,
        window=(window,),
        strides=strides,
        dilation=dilation,
        padding=padding,
        ceil_mode=ceil,
    )
    try:
        ours = jax.eval_shape(pool, jnp.zeros((n, 1))).shape[0]
    except ValueError as error:
        ours = None
        if "only padding" in str(error):  # which torch has as -inf
            return
    assert ours == theirs


@pytest.mark.peers
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "space, window, strides",
    [((8,), (3,), 2), ((7, 5), (2, 3), (2, 1)), ((4, 3, 4), (2, 2, 3), 2)],
)
def test_equal_to_keras_and_flax(space, window, strides, padding):
    xs, axes = distinct(*space), len(space)
    layers = keras.layers
    steps = strides if isinstance(strides, tuple) else (strides,) * axes
    size, step = (window, steps) if axes > 1 else (window[0], steps[0])
    options = {"pool_size": size, "strides": step, "padding": padding}
    flax_options = {
        "window_shape": window,
        "strides": steps,
        "padding": padding.upper(),
    }
    mean = partial(nets.mean_pool, window=window, strides=strides, padding=padding)
    largest = partial(nets.max_pool, window=window, strides=strides, padding=padding)
    flax_mean = partial(flax.linen.avg_pool, **flax_options)
    pairs = [
        (largest, getattr(layers, f"MaxPooling{axes}D")(**options)),
        (largest, partial(flax.linen.max_pool, **flax_options)),
        (mean, getattr(layers, f"AveragePooling{axes}D")(**options)),
        (mean, partial(flax_mean, count_include_pad=False)),
        (partial(mean, count_padding=True), flax_mean),
        (
            partial(nets.global_max_pool, axes=axes),
            getattr(layers, f"GlobalMaxPooling{axes}D")(),
        ),
        (
            partial(nets.global_mean_pool, axes=axes),
            getattr(layers, f"GlobalAveragePooling{axes}D")(),
        ),
    ]
    mine, theirs = zip(*pairs, strict=True)
    close(run(xs, *mine), run(xs, *theirs, jit=jax.jit))


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
    close(ys, wanted)


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

    found = program(xs, tangent)
    close(found["ys"], found["apart"])
    close(found["ys"][1, 1], found["alone"])
    close(found["forwards"], found["backwards"])
    assert found["ys"].dtype == jnp.float32 and found["short"].dtype == jnp.bfloat16
    np.testing.assert_allclose(
        found["short"].astype(jnp.float32), found["ys"], rtol=0.03, atol=0.03
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
    xs = draw(7, 6)

    @jax.jit
    def program(xs):
        ys, back = jax.vjp(
            lambda xs: nets.max_pool(xs, (3, 2), strides=(1, 2), padding=[(1, 1)] * 2),
            xs,
        )
        above = jnp.sin(jnp.arange(ys.size, dtype=ys.dtype)).reshape(ys.shape)
        return above.sum((1, 2)), back(above)[0].sum((1, 2))

    close(*program(xs))


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
    close(pool(1), jnp.abs(xs).reshape(2, 2, 3, 3).sum(2))
    close(pool(math.inf), nets.max_pool(jnp.abs(xs), (3,)))
    close(pool(200.0), pool(math.inf) * 1.003, rtol=0.004)
    close(
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
def test_errors_say_what_was_expected(call, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        jax.eval_shape(call, jax.ShapeDtypeStruct(IMAGE, jnp.float32))
