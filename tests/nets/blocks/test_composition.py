"""Layers in sequence: their modules, shapes and receptive fields."""

import math
from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets.linen
import nets.nnx
from nets import blocks, models

KEY = jax.random.key(0)


# A layer of each kind.
MIXED = (
    blocks.conv(4, (3, 3), padding="same", activation=jnp.tanh),
    blocks.depthwise_conv((2, 2), multiplier=2),
    blocks.max_pool((2, 2), padding=1, strides=1),
    blocks.residual(blocks.separable_conv(8, (3, 3), padding="same")),
    blocks.mean_pool((2, 2)),
    blocks.upsample((2, 2), method="linear"),
    blocks.conv_transpose(3, (2, 2), strides=2),
    blocks.lp_pool((3, 3), strides=2),
    blocks.activation(jnp.sin),
    blocks.adaptive_mean_pool((3, 2)),
    blocks.flatten(axes=2),
    blocks.dense(12, use_bias=False),
    blocks.reshape((2, 2, 3)),
    blocks.global_max_pool(2),
    blocks.dense(2, activation=None),
)
SHAPE = (6, 7, 2)


@pytest.mark.slow
def test_linen_and_nnx_are_the_pure_function():
    """The output of each layer is the input of the next."""
    pure = blocks.sequential(*MIXED)
    params = cases.draw(jax.eval_shape(partial(pure.init, shape=SHAPE), KEY))
    xs = cases.normal(3, *SHAPE)
    linen: Any = nets.linen.Sequential(MIXED)
    in_nnx = nets.nnx.Sequential(MIXED, SHAPE, rngs=nnx.Rngs(0))
    graph, state = nnx.split(in_nnx)

    def named(params):
        return {
            f"{layer.name.split()[0]}_{i}": {"layer": own}
            for i, (layer, own) in enumerate(zip(MIXED, params, strict=True))
            if jax.tree.leaves(own)
        }

    def one_by_one(params, xs):
        result = []
        for layer, own in zip(MIXED, params, strict=True):
            xs = layer.apply(own, xs)
            result.append(xs)
        return result

    def by_linen(params, xs):
        return linen.apply({"params": named(params)}, xs, method="outputs")

    def by_nnx(params, xs):
        module = nnx.merge(graph, state, copy=True)
        module.params.set_value(params)
        return module.outputs(xs)

    def with_gradients(see):
        def loss(params, xs):
            maps = see(params, xs)
            return sum(jnp.sin(ys).sum() for ys in maps), maps

        return jax.grad(loss, argnums=(0, 1), has_aux=True)

    ways = one_by_one, partial(blocks.outputs, MIXED), by_linen, by_nnx
    run = jax.jit(lambda *args: [with_gradients(way)(*args) for way in ways])
    expected, *others = run(params, xs)
    for result in others:
        chex.assert_trees_all_close(result, expected, rtol=1e-6, atol=1e-6)
    shapes = [ys.shape[1:] for ys in expected[1]]
    assert shapes == [row.shape for row in blocks.summary(MIXED, SHAPE)]

    last = expected[1][-1]
    close = partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)
    close(jax.jit(pure.apply)(params, xs), last)
    close(jax.jit(linen.apply)({"params": named(params)}, xs), last)
    like = jax.eval_shape(linen.init, KEY, xs)
    chex.assert_trees_all_equal_structs(like, {"params": named(params)})
    own = in_nnx.params.get_value()
    chex.assert_trees_all_equal_shapes_and_dtypes(own, params)


linear = partial(blocks.conv, activation=None)
STACKS = {
    "conv": ([linear(2, (3,))], (20, 1)),
    "conv, pool": ([linear(2, (3,)), linear(2, (3,)), blocks.max_pool((2,))], (24, 1)),
    "strides": ([linear(2, (5,), strides=2), linear(2, (3,), strides=2)], (40, 1)),
    "dilation": ([linear(2, (3,), dilation=d) for d in (1, 2, 4)], (30, 1)),
    "overlapping pools": (
        [blocks.mean_pool((3,), strides=2), blocks.lp_pool((2,), strides=1)],
        (24, 1),
    ),
    "same": ([linear(2, (4,), padding="same"), blocks.mean_pool((2,))], (24, 1)),
    "causal": ([linear(2, (4,), padding="causal")] * 2, (24, 1)),
    "padded pool": ([blocks.max_pool((3,), padding=1), linear(1, (2,))], (24, 1)),
    "dilated pool": ([blocks.max_pool((2,), dilation=3, strides=1)], (24, 1)),
    "upsample": ([blocks.upsample((2,)), linear(1, (3,))], (16, 1)),
    "smooth upsample": ([blocks.upsample((2,), method="linear")], (16, 1)),
    "cubic upsample": ([blocks.upsample((3,), method="cubic")], (16, 1)),
    "conv_transpose": (
        [blocks.conv_transpose(2, (4,), strides=2, activation=None)],
        (16, 1),
    ),
    "down and up": (
        [linear(2, (4,), strides=2), blocks.conv_transpose(1, (2,), strides=2)],
        (24, 1),
    ),
    "adaptive": ([linear(1, (2,)), blocks.adaptive_max_pool((6,))], (25, 1)),
    "residual": ([blocks.residual(linear(1, (5,), padding="same"))], (20, 1)),
    "depthwise, separable": (
        [blocks.depthwise_conv((3,)), blocks.separable_conv(2, (3,), strides=2)],
        (24, 2),
    ),
    "two axes": (
        [linear(2, (3, 1), strides=(2, 1)), blocks.max_pool((2, 3))],
        (16, 12, 1),
    ),
    "up and over": ([blocks.upsample((2,)), linear(1, (2,)), linear(1, (4,))], (16, 1)),
    "down, up and over": (
        [linear(2, (4,), strides=2), blocks.upsample((2,)), linear(1, (3,))],
        (32, 1),
    ),
    "by 3/2": ([blocks.upsample((1.5,)), linear(1, (3,))], (16, 1)),
    "by 5/8": ([blocks.upsample(sizes=(10,)), linear(1, (2,))], (16, 1)),
    "smooth by 3/2": (
        [blocks.upsample((1.5,), method="linear"), linear(1, (3,))],
        (16, 1),
    ),
    "as it is": ([blocks.upsample((1,), method="linear")], (16, 1)),
    "uneven adaptive": ([blocks.adaptive_mean_pool((8,)), linear(1, (2,))], (14, 1)),
    "dense at each place": ([linear(2, (3,)), blocks.dense(2)], (16, 1)),
    "LeNet-5": (models.lenet5(activation=jax.nn.relu).layers[:4], (28, 28, 1)),
}


def seen(layers, shape):
    """Inputs [*space] on which each output [*space'] depends, by its gradient."""
    pure = blocks.sequential(*layers)
    params = cases.draw(jax.eval_shape(partial(pure.init, shape=shape), KEY))
    params = jax.tree.map(jnp.abs, params)  # so that no relu shuts
    xs = jnp.abs(cases.normal(12, *shape, scale=1.0)) + 0.1  # a maximum sees one place

    @jax.jit
    def union(xs):
        jacobian = jax.vmap(jax.jacrev(lambda x: pure.apply(params, x).sum(-1)))(xs)
        return (jacobian != 0).any(axis=(0, -1))

    return np.asarray(union(xs))


@pytest.mark.parametrize("name", STACKS)
def test_the_receptive_field_is_where_the_gradient_comes_from(name):
    layers, shape = STACKS[name]
    axes = len(shape) - 1
    window = blocks.receptive_field(layers, shape)
    assert window is not None
    outputs_and_inputs = seen(layers, shape)
    for axis in range(axes):
        others = tuple(i for i in range(2 * axes) if i not in (axis, axes + axis))
        touched = np.asarray(outputs_and_inputs.any(axis=others))  # [outputs, inputs]
        first = touched.argmax(axis=1)
        last = touched.shape[1] - 1 - touched[:, ::-1].argmax(axis=1)
        assert max(last - first + 1) == math.floor(window.size[axis])
        early, late = len(touched) // 4, 3 * len(touched) // 4
        moved = int(first[late] - first[early])
        assert abs(moved - (late - early) * window.stride[axis]) <= 1


def test_what_sees_everything_has_no_receptive_field():
    layers = models.lenet5().layers
    shape = 28, 28, 1
    for count in range(5, len(layers) + 1):
        assert blocks.receptive_field(layers[:count], shape) is None
    rows = blocks.summary(layers, shape)
    fields = [row.receptive_field for row in rows]
    assert fields[:4] == [(5, 5), (6, 6), (14, 14), (16, 16)]


def test_a_residual_may_begin_with_an_activation():
    block = blocks.residual(
        blocks.activation(jax.nn.relu),
        blocks.conv(4, (3, 3), padding="same", activation=None),
    )
    assert block.spatial_dims == 2
    xs = jnp.ones((2, 8, 8, 4))
    linen: Any = nets.linen.Sequential((block,))
    ys, _ = linen.init_with_output(jax.random.key(0), xs)
    assert ys.shape == xs.shape


def test_the_summary_names_the_layer_that_does_not_fit():
    layers = [blocks.conv(4, (3, 3)), blocks.conv(4, (9, 9))]
    with pytest.raises(ValueError, match=r"layer 1 \(conv 9x9, 4\) of 2, for inputs"):
        blocks.summary(layers, (8, 8, 1))
