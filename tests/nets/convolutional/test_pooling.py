"""Pools and their inverse: PyTorch's, Keras's and Flax's numbers, and exact facts."""

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
from tolerances import assert_close_to_peers as assert_close

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
    assert_close(run(xs, *mine), [their(torch, xs, function) for function in theirs])


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
    result = ours(xs)
    assert result[1].dtype == jnp.int32
    theirs = (ys, indices, again, ys.grad, fed.grad)
    assert_close(result, tuple(map(channels_last, theirs)))


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
        result = ours(xs, dilation=dilation)
        for one, other in zip(result, theirs, strict=True):
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
    assert_close(
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
    assert_close(
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
    assert_close(run(xs, *mine), [their(torch, xs, function) for function in theirs])


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
    assert_close(run(xs, *mine), run(xs, *theirs, jit=jax.jit))
