"""Convolutions: the numbers and gradients of PyTorch, Keras and Flax."""

import contextlib
import itertools
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import optimized_jit
from tolerances import assert_close_to_peers as assert_close

import nets

few = settings(max_examples=10, deadline=None, derandomize=True, database=None)


@contextlib.contextmanager
def as_on_accelerators():
    """XLA's own convolutions, which accelerators run, in place of products."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            jax.lax, "platform_dependent", lambda *args, cpu, default: default(*args)
        )
        yield


def normal(*shape, seed=0):
    numbers = np.random.default_rng(seed).standard_normal(shape)
    return jnp.asarray(numbers, jnp.float32)


def and_gradients(function, *args, jit=jax.jit):
    """Its result, and gradients of a weighted sum of the result by every argument."""

    @jit
    def run(*args):
        ys, pull = jax.vjp(function, *args)
        return ys, pull(weights(ys))

    return run(*args)


ours_and_gradients = partial(and_gradients, jit=optimized_jit)


def weights(ys):
    """A constant of the program."""
    return np.cos(np.arange(ys.size)).reshape(ys.shape).astype(ys.dtype)


def torch_and_gradients(torch, function, *args):
    """The same of PyTorch, whose function takes and returns channels last."""
    tensors = [torch.tensor(np.array(a), requires_grad=True) for a in args]
    ys = function(*tensors)
    ys.backward(torch.tensor(weights(ys.detach().numpy())))
    return ys.detach().numpy(), tuple(t.grad.numpy() for t in tensors)


def first(x):
    """Channels first, in PyTorch."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def torch_kernel(torch, w, groups=1, transposed=False):
    """[*size, inputs / groups, filters] as PyTorch stores it."""
    if not transposed:
        return w.movedim((-1, -2), (0, 1))
    *size, inputs, filters = w.shape
    w = w.reshape(*size, inputs, groups, filters // groups)
    w = w.movedim((-2, -3, -1), (0, 1, 2))
    return w.reshape(groups * inputs, filters // groups, *size)


@st.composite
def cases(draw):
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    each = [
        {
            "n": draw(st.integers(4, 7)),
            "k": draw(st.integers(1, 5 - axes)),
            "s": draw(st.integers(1, 3)),
            "d": draw(st.integers(1, 2)),
        }
        for _ in range(axes)
    ]
    space, size, strides, dilation = (tuple(e[key] for e in each) for key in "nksd")
    need = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, e // 2)) for e in need)
    space = tuple(max(n, e) for n, e in zip(space, need, strict=True))
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    return space, size, strides, dilation, padding, groups


def operands(space, size, groups, filters=4, inputs=4):
    xs = normal(2, *space, inputs, seed=1)
    kernel = normal(*size, inputs // groups, filters, seed=2)
    return xs, kernel, normal(filters, seed=3)


@pytest.mark.slow
@pytest.mark.peers
@given(case=cases())
@few
def test_conv_equals_torch(case):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    space, size, strides, dilation, padding, groups = case
    options: Any = {"strides": strides, "dilation": dilation, "groups": groups}
    pairs = tuple((p, p) for p in padding)

    def ours(xs, kernel, bias):
        params = nets.convolutional.ConvParams(kernel, bias)
        return nets.conv(params, xs, padding=pairs, **options)

    def theirs(xs, kernel, bias):
        run = getattr(torch.nn.functional, f"conv{len(size)}d")
        weight = torch_kernel(torch, kernel)
        return last(
            run(first(xs), weight, bias, strides, padding, dilation, groups=groups)
        )

    args = operands(space, size, groups)
    assert_close(
        ours_and_gradients(ours, *args), torch_and_gradients(torch, theirs, *args)
    )


@pytest.mark.slow
@pytest.mark.peers
@given(case=cases(), extra=st.integers(0, 1))
@few
def test_conv_transpose_equals_torch(case, extra):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    space, size, strides, dilation, padding, groups = case
    output_padding = tuple(
        min(extra, max(s, d) - 1) for s, d in zip(strides, dilation, strict=True)
    )
    options: Any = {"strides": strides, "dilation": dilation, "groups": groups}
    pairs = tuple((p, p) for p in padding)

    def ours(xs, kernel, bias):
        return nets.conv_transpose(
            nets.convolutional.ConvParams(kernel, bias),
            xs,
            padding=pairs,
            output_padding=output_padding,
            **options,
        )

    def theirs(xs, kernel, bias):
        run = getattr(torch.nn.functional, f"conv_transpose{len(size)}d")
        weight = torch_kernel(torch, kernel, groups, transposed=True)
        args = weight, bias, strides, padding, output_padding, groups, dilation
        return last(run(first(xs), *args))

    args = operands(space, size, groups)
    assert_close(
        ours_and_gradients(ours, *args), torch_and_gradients(torch, theirs, *args)
    )


MODES = {"reflect": "reflect", "circular": "circular", "replicate": "replicate"}


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("mode", [*MODES, "same"])
@pytest.mark.parametrize("size", [(4,), (3, 4), (2, 3, 2)], ids=str)
def test_filled_padding_equals_torch(mode, size):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    layer_class = getattr(torch.nn, f"Conv{len(size)}d")
    layer = layer_class(
        4, 4, size, padding="same", padding_mode=MODES.get(mode, "zeros")
    )

    def theirs(xs, kernel, bias):
        weight = torch_kernel(torch, kernel)
        tensors = {"weight": weight, "bias": bias}
        return last(torch.func.functional_call(layer, tensors, (first(xs),)))

    def ours(xs, kernel, bias):
        return nets.conv(nets.convolutional.ConvParams(kernel, bias), xs, padding=mode)

    args = operands((5, 6, 4)[: len(size)], size, 1)
    assert_close(
        ours_and_gradients(ours, *args), torch_and_gradients(torch, theirs, *args)
    )


KERAS = {1: "Conv1D", 2: "Conv2D", 3: "Conv3D"}
KERAS_TRANSPOSED = {1: "Conv1DTranspose", 2: "Conv2DTranspose"}


def keras_run(layer, xs, *params):
    layer.build(xs.shape)

    def run(xs, *params):
        ys, _ = layer.stateless_call(list(params), [], xs)
        return ys

    return and_gradients(run, xs, *params)


def assert_close_both_ways(ours, args, theirs):
    """As the CPU computes it, optimized, and as accelerators do."""
    assert_close(ours_and_gradients(ours, *args), theirs)
    with as_on_accelerators():
        assert_close(and_gradients(ours, *args), theirs)


@pytest.mark.peers
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(
    "n, k, s, d",
    [
        (8, 3, 2, 1),
        (8, 4, 1, 1),
        (8, 5, 2, 1),
        (8, 4, 2, 1),
        (7, 3, 1, 2),
        (9, 2, 3, 1),
    ],
)
def test_named_padding_equals_keras(padding, n, k, s, d):
    axes = 1 if padding == "causal" else 2
    layer = getattr(keras.layers, KERAS[axes])(
        4, k, strides=s, padding=padding, dilation_rate=d
    )
    args = operands((n, n + 1)[:axes], (k,) * axes, 1)

    def ours(xs, kernel, bias):
        params = nets.convolutional.ConvParams(kernel, bias)
        return nets.conv(params, xs, padding=padding, strides=s, dilation=d)

    assert_close_both_ways(ours, args, keras_run(layer, *args))


@pytest.mark.peers
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "k, s, more",
    [(3, 2, None), (4, 2, None), (2, 3, None), (5, 3, None), (3, 2, 1), (4, 3, 2)],
)
def test_conv_transpose_equals_keras(padding, k, s, more):
    layer = keras.layers.Conv2DTranspose(
        4, k, strides=s, padding=padding, output_padding=more
    )
    args = operands((4, 5), (k, k), 1)

    def ours(xs, kernel, bias):
        return nets.conv_transpose(
            nets.convolutional.ConvParams(jnp.swapaxes(kernel, -1, -2), bias),
            xs,
            padding=padding,
            strides=s,
            output_padding=more,
        )

    assert_close_both_ways(ours, args, keras_run(layer, *args))


@pytest.mark.peers
def test_depthwise_and_separable_equal_keras():
    xs, depthwise, pointwise = normal(2, 6, 7, 3), normal(3, 2, 3, 2), normal(6, 4)
    bias = normal(4)
    deep = keras.layers.DepthwiseConv2D(
        (3, 2), depth_multiplier=2, padding="same", use_bias=False
    )

    def ours_deep(xs, kernel):
        params = nets.convolutional.ConvParams(kernel.reshape(3, 2, 1, 6), None)
        return nets.conv(params, xs, padding="same", groups=3)

    assert_close(
        ours_and_gradients(ours_deep, xs, depthwise), keras_run(deep, xs, depthwise)
    )
    separable = keras.layers.SeparableConv2D(
        4, (3, 2), depth_multiplier=2, padding="same", strides=2
    )

    def ours(xs, deep, point, bias):
        deep, point = deep.reshape(3, 2, 1, 6), point.reshape(6, 4)
        params = nets.convolutional.SeparableConvParams(deep, point, bias)
        return nets.separable_conv(params, xs, padding="same", strides=2)

    args = xs, depthwise, pointwise.reshape(1, 1, 6, 4), bias
    assert_close(ours_and_gradients(ours, *args), keras_run(separable, *args))


@pytest.mark.peers
@pytest.mark.parametrize("padding", ["VALID", "SAME", "CIRCULAR", "REFLECT", "CAUSAL"])
@pytest.mark.parametrize("k, s, d", [(4, 2, 1)])
def test_conv_equals_flax(padding, k, s, d):
    axes = 1 if padding == "CAUSAL" else 2
    layer = nn.Conv(
        4,
        (k,) * axes,
        strides=(s,) * axes,
        padding=padding,
        kernel_dilation=(d,) * axes,
    )

    def theirs(xs, kernel, bias):
        params: Any = {"params": {"kernel": kernel, "bias": bias}}
        return layer.apply(params, xs)

    def ours(xs, kernel, bias):
        params = nets.convolutional.ConvParams(kernel, bias)
        return nets.conv(params, xs, padding=padding.lower(), strides=s, dilation=d)

    args = operands((7, 8)[:axes], (k,) * axes, 1)
    assert_close(ours_and_gradients(ours, *args), and_gradients(theirs, *args))


@pytest.mark.peers
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("k, s", [(4, 2), (2, 3)])
def test_conv_transpose_equals_flax(padding, k, s):
    layer = nn.ConvTranspose(4, (k, k), (s, s), padding, transpose_kernel=True)

    def theirs(xs, kernel, bias):
        params: Any = {"params": {"kernel": kernel.swapaxes(-1, -2), "bias": bias}}
        return layer.apply(params, xs)

    def ours(xs, kernel, bias):
        params = nets.convolutional.ConvParams(kernel, bias)
        return nets.conv_transpose(params, xs, padding=padding.lower(), strides=s)

    args = operands((4, 5), (k, k), 1)
    assert_close(ours_and_gradients(ours, *args), and_gradients(theirs, *args))


GRID = list(itertools.product([1, 2], [1, 2], [1, 2]))


@pytest.mark.parametrize("padding", ["valid", "same", ((1, 0), (2, 1))], ids=str)
@pytest.mark.parametrize("s, d, groups", GRID)
def test_both_ways_of_computing_agree(s, d, groups, padding):
    xs, kernel, bias = operands((6, 7), (3, 2), groups)
    options: Any = {"strides": s, "dilation": d, "groups": groups, "padding": padding}

    def run(xs, kernel):
        results = []
        for function in nets.conv, nets.conv_transpose:

            def ys(xs, kernel, function=function):
                params = nets.convolutional.ConvParams(kernel, bias)
                return function(params, xs, **options)

            results.append(and_gradients(ys, xs, kernel, jit=lambda run: run))
        return results

    products = jax.jit(run)(xs, kernel)
    with as_on_accelerators():
        on_accelerators = jax.jit(partial(run))(xs, kernel)  # traced again
    assert_close(products, on_accelerators)


def test_full_is_the_convolution_of_the_textbook():
    signal, kernel = normal(7), normal(3, seed=1)
    params = nets.convolutional.ConvParams(kernel[::-1, None, None], None)
    ys = nets.conv(params, signal[:, None], padding="full")
    np.testing.assert_allclose(ys[:, 0], np.convolve(signal, kernel), rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("k, s, d, p", [(3, 1, 1, 0), (3, 2, 1, 1), (2, 2, 2, 0)])
def test_the_transposed_convolution_is_the_adjoint(k, s, d, p, groups):
    """<conv x, y> = <x, conv_transpose y>."""
    options: Any = {"strides": s, "dilation": d, "padding": p, "groups": groups}
    xs, kernel, _ = operands((7, 9), (k, k), groups, filters=6)
    turned = np.reshape(kernel, (k, k, 4 // groups, groups, 6 // groups))
    turned = turned.swapaxes(2, 4).reshape(k, k, 6 // groups, 4)

    def products(xs, kernel, turned):
        there, back = map(nets.convolutional.ConvParams, (kernel, turned), (None,) * 2)
        ys = nets.conv(there, xs, **options)
        other = jnp.asarray(np.sin(np.arange(ys.size)).reshape(ys.shape), ys.dtype)
        reached = nets.conv_transpose(back, other, **options)  # at most as large
        inside = xs[tuple(map(slice, reached.shape))]
        return (ys * other).sum(), (inside * reached).sum()

    np.testing.assert_allclose(*jax.jit(products)(xs, kernel, turned), rtol=1e-5)
    with as_on_accelerators():
        on_accelerators = jax.jit(partial(products))(xs, kernel, turned)  # traced again
    np.testing.assert_allclose(*on_accelerators, rtol=1e-5)


@pytest.mark.parametrize(
    "n, k, s, pair", [(8, 3, 2, (0, 1)), (8, 4, 1, (1, 2)), (8, 5, 2, (1, 2))]
)
def test_same_is_asymmetric(n, k, s, pair):
    """The examples of the conventions: XLA's and Keras's SAME."""
    xs, kernel, _ = operands((n,), (k,), 1)
    params = nets.convolutional.ConvParams(kernel, None)
    assert_close(
        nets.conv(params, xs, strides=s, padding="same"),
        nets.conv(params, xs, strides=s, padding=(pair,)),
    )


def test_a_1d_kernel_spans_all_features_and_a_column_one_column():
    sequence = nets.conv(
        nets.convolutional.ConvParams(jnp.ones((8, 3, 1)), None), jnp.ones((20, 3))
    )
    assert sequence.shape == (13, 1) and (sequence == 24).all()
    image = jnp.zeros((10, 10, 1)).at[:, 4].set(1.0)
    column = nets.conv(
        nets.convolutional.ConvParams(jnp.ones((8, 1, 1, 1)), None), image
    )
    assert column.shape == (3, 10, 1)
    assert (column[:, 4] == 8).all() and column.sum() == 3 * 8


@pytest.mark.slow
def test_any_batch_axes():
    params = nets.convolutional.ConvParams(
        jnp.asarray(normal(3, 3, 2, 4)), jnp.asarray(normal(4))
    )
    transpose = partial(nets.conv_transpose, params, strides=2)
    xs = jnp.asarray(normal(2, 3, 6, 5, 2))
    for run in partial(nets.conv, params), transpose:
        ys = run(xs)
        assert_close(ys, jax.vmap(jax.vmap(run))(xs))
        assert_close(ys[1, 2], run(xs[1, 2]))
        assert run(xs[:0]).shape == (0, *ys.shape[1:])


@pytest.mark.parametrize(
    "x, w, y",
    [
        ("bfloat16", "bfloat16", "bfloat16"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float32", "float32"),
        ("uint8", "float32", "float32"),
    ],
)
def test_dtype_follows_inputs_and_params(x, w, y):
    params = nets.convolutional.ConvParams(jnp.ones((3, 1, 2), w), jnp.ones(2, w))
    for run in nets.conv, nets.conv_transpose:
        assert run(params, jnp.ones((8, 1), x)).dtype == y


def test_forward_mode_equals_reverse_mode(x64):
    xs, kernel, bias = (a.astype(float) for a in operands((5, 5), (3, 3), 1))

    def run(kernel):
        return jnp.sin(
            nets.conv(nets.convolutional.ConvParams(kernel, bias), xs, padding="same")
        )

    forward, reverse = jax.jacfwd(run)(kernel), jax.jacrev(run)(kernel)
    assert_close(forward, reverse, rtol=1e-12, atol=1e-12)


def test_it_lowers_everywhere():
    platforms = ["cpu", "cuda", "tpu"]
    params = nets.convolutional.ConvParams(jnp.ones((3, 3, 2, 4)), jnp.ones(4))

    def loss(params, xs):
        ys = nets.conv(params, xs, padding="circular", strides=2)
        ys = nets.conv_transpose(params, ys[..., :2], strides=2, padding="same")
        return (ys**2).sum()

    args = params, jnp.ones((2, 8, 8, 2))
    exported = jax.export.export(jax.jit(jax.grad(loss)), platforms=platforms)(*args)
    assert exported.platforms == tuple(platforms)
    program = exported.mlir_module()
    assert "stablehlo.convolution" in program and "stablehlo.dot_general" in program
