"""Sums of bfloat16 and float16 numbers: those of float32, rounded once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def convolution(function, size, groups=1, **options):
    def run(kernel, bias, xs):
        return function(
            nets.convolutional.ConvParams(kernel, bias), xs, groups=groups, **options
        )

    space = (7,) * len(size)
    return run, (normal(*size, 4 // groups, 8), normal(8), normal(2, *space, 4))


def separable(depthwise, pointwise, bias, xs):
    return nets.separable_conv(
        nets.convolutional.SeparableConvParams(depthwise, pointwise, bias), xs
    )


def dense(w, b, xs):
    return nets.dense(nets.convolutional.DenseParams(w, b), xs)


conv, conv_transpose = (
    partial(convolution, function) for function in (nets.conv, nets.conv_transpose)
)
image = (normal(2, 7, 7, 3),)
# Functions of their parameters and inputs. Each is compared with the same in float32.
CASES = {
    "conv": conv((5, 5)),
    "conv, a sequence": conv((5,), padding="causal"),
    "conv, a volume": conv((3, 3, 3), padding="circular"),
    "conv, strided and dilated": conv((3, 3), strides=2, dilation=2, padding="same"),
    "conv, groups": conv((3, 3), groups=2, padding="reflect"),
    "conv, depthwise": conv((3, 3), groups=4, padding="full"),
    "conv, replicate": conv((5, 5), padding="replicate"),
    "conv_transpose": conv_transpose((5, 5)),
    "conv_transpose, strided": conv_transpose((3, 3), strides=2, dilation=2),
    "conv_transpose, groups": conv_transpose((3,), groups=2, padding="same"),
    "separable_conv": (
        separable,
        (normal(3, 3, 1, 8), normal(8, 5), normal(5), normal(2, 7, 7, 4)),
    ),
    "dense": (dense, (normal(50, 7), normal(7), normal(90, 50))),
    "max_pool": (lambda x: nets.max_pool(x, (3, 3), strides=1, padding=1), image),
    "max_pool, large": (lambda x: nets.max_pool(x, (6, 6), strides=1), image),
    "max_pool, dilated": (lambda x: nets.max_pool(x, (2, 2), dilation=2), image),
    "mean_pool": (lambda x: nets.mean_pool(x, (3, 3), strides=1, padding=1), image),
    "lp_pool": (lambda x: nets.lp_pool(x, (3, 3), strides=1), image),
    "lp_pool, inf": (lambda x: nets.lp_pool(x, (3, 3), np.inf, strides=1), image),
    "adaptive_max_pool": (lambda x: nets.adaptive_max_pool(x, (5, 20)), image),
    "adaptive_mean_pool": (lambda x: nets.adaptive_mean_pool(x, (5, 20)), image),
    "global_max_pool": (lambda x: nets.global_max_pool(x, 2), image),
    "global_mean_pool": (lambda x: nets.global_mean_pool(x, 2), image),
    "upsample": (lambda x: nets.upsample(x, sizes=(20, 28)), image),
    "upsample, linear": (lambda x: nets.upsample(x, (4, 5), method="linear"), image),
    "upsample, cubic": (lambda x: nets.upsample(x, (4, 5), method="cubic"), image),
}


BOTH = [(name, jnp.bfloat16) for name in CASES] + [
    (name, jnp.float16) for name in ("conv", "conv_transpose", "dense", "max_pool")
]


@pytest.mark.parametrize("name, dtype", BOTH)
def test_numbers_and_gradients_are_rounded_once(name, dtype):
    function, args = CASES[name]
    args = [np.asarray(a).astype(dtype) for a in args]

    @jax.jit
    def run(*args):
        ys, pull = jax.vjp(function, *args)
        slope = normal(*ys.shape, seed=1).astype(dtype).astype(ys.dtype)
        return ys, *pull(jnp.asarray(slope))

    with jax.numpy_dtype_promotion("strict"):
        narrow = run(*args)
        wide = run(*(a.astype(np.float32) for a in args))
    for got, right in zip(narrow, map(np.asarray, wide), strict=True):
        assert got.dtype == dtype
        # Where float32 sums in another order, the rounding may fall to either side.
        same = np.asarray(got) == right.astype(dtype)
        assert same.mean() > 0.98
        error = np.abs(np.asarray(got, np.float64) - np.asarray(right, np.float64))
        half = float(jnp.finfo(dtype).eps) / 2
        assert (error <= 1.02 * half * np.abs(right) + 1e-6).all()


def test_sums_of_float16_do_not_overflow_where_the_mean_is_finite():
    xs = jnp.full((8, 8, 1), 60000, jnp.float16)
    for ys in (
        nets.mean_pool(xs, (4, 4)),
        nets.global_mean_pool(xs, 2),
        nets.adaptive_mean_pool(xs, (3, 3)),
        nets.upsample(xs, (2, 2), method="cubic"),
        nets.lp_pool(xs, (1, 1)),
        nets.conv(
            nets.convolutional.ConvParams(
                jnp.full((2, 2, 1, 1), 0.25, jnp.float16), None
            ),
            xs,
        ),
    ):
        np.testing.assert_array_equal(ys, jnp.float16(60000))


OVER_TIME = {
    "conv": lambda x: nets.conv(
        nets.convolutional.ConvParams(jnp.ones((300, 1, 1), x.dtype), None), x
    ),
    "repeat": lambda x: nets.upsample(x, (300,)),
    "max_pool": lambda x: nets.max_pool(x, (300,), strides=1),
    "adaptive_max_pool": lambda x: nets.adaptive_max_pool(x, (300 * len(x) - 1,)),
}


@pytest.mark.parametrize("function", OVER_TIME.values(), ids=OVER_TIME)
def test_three_hundred_ones_are_summed_in_a_gradient(function):
    xs = jnp.zeros((700, 1), jnp.bfloat16).at[350].set(1)
    slope = jax.jit(jax.grad(lambda x: function(x).astype(jnp.float32).sum()))(xs)
    assert slope[350, 0] == 300
