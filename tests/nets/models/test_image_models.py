"""Networks of images: what they count, see and put out, in every form they have."""

import math
from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import nets.linen
import nets.nnx
from nets import blocks, initializers, models

KEY = jax.random.key(0)


def parameters(model, shape):
    variables = jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct(shape, float))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))


def variables_of(model, shape, seed=1):
    """Variables none of which is zero."""
    like = jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct(shape, jnp.float32))
    return cases.draw(like, seed)


COUNTS = {
    "LeNet-5": (models.lenet5(), (28, 28, 1), 61_706),
    "MNIST-1D linear": (models.feed_forward(()), (40,), 410),
    "MNIST-1D MLP": (models.feed_forward((100, 100), residual=True), (40,), 15_210),
    "MNIST-1D CNN": (models.cnn_1d(), (40, 1), 5_210),
    "CNN": (models.cnn(), (8, 8, 1), 9 * 16 + 16 + 144 * 32 + 32 + 128 * 10 + 10),
    "hidden": (
        models.cnn(3, (4,), (2, 3), pool=None, hidden=(5,)),
        (4, 4, 2),
        12 * 4 + 4 + 64 * 5 + 5 + 5 * 3 + 3,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_number_of_parameters(name):
    model, shape, count = COUNTS[name]
    assert parameters(model, shape) == count
    assert sum(row.parameters for row in blocks.summary(model.layers, shape)) == count


def test_a_residual_net_adds_what_comes_in():
    model = models.feed_forward((5, 5, 4), classes=2, residual=True)
    variables = variables_of(model, (3,))
    first, second, third, last = (
        variables["params"][name]["layer"]
        for name in ("dense_0", "residual_1", "dense_2", "dense_3")
    )
    xs = cases.normal(7, 3)
    h = jax.nn.relu(xs @ first.w + first.b[None])
    h = h + jax.nn.relu(h @ second[0].w + second[0].b[None])
    h = jax.nn.relu(h @ third.w + third.b[None])
    expected = h @ last.w + last.b[None]
    chex.assert_trees_all_close(model.apply(variables, xs), expected, rtol=1e-5)


SIZES = {1: (12,), 2: (8, 9), 3: (4, 5, 6)}


@pytest.mark.parametrize(
    ("axes", "pool"), [(1, "lp"), (1, None), (2, "max"), (3, "mean")]
)
def test_in_one_two_and_three_dimensions(axes, pool):
    size = (3, 2, 1)[:axes]
    model = models.cnn(7, (2, 3), size, pool=pool, hidden=(4,))
    shape = *SIZES[axes], 2
    variables = variables_of(model, shape)
    xs = cases.normal(2, 3, *shape)
    run = jax.jit(partial(model.apply, method="outputs"))
    maps = run(variables, xs)
    assert maps[-1].shape == (2, 3, 7)
    for layer, row, ys in zip(
        model.layers, blocks.summary(model.layers, shape), maps, strict=True
    ):
        assert ys.shape == (2, 3, *row.shape), layer.name
    space = SIZES[axes]
    for n in range(2):
        step = 1 if pool is None else 2
        assert maps[n * step].shape[2:-1] == space
        space = tuple(n // step for n in space)
    flat = run(variables, xs.reshape(6, *shape))
    chex.assert_trees_all_close(flat[-1].reshape(2, 3, 7), maps[-1], rtol=1e-5)
    alone = run(variables, xs[1, 2])
    chex.assert_trees_all_close(alone[-1], maps[-1][1, 2], rtol=1e-5, atol=1e-6)


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
    """And what each layer puts out is what the next is given."""
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
        found = []
        for layer, own in zip(MIXED, params, strict=True):
            xs = layer.apply(own, xs)
            found.append(xs)
        return found

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
    for found in others:
        chex.assert_trees_all_close(found, expected, rtol=1e-6, atol=1e-6)
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
    """Which inputs [*space] each output [*space'] hangs on, by its gradient."""
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


WRONG = {
    "no layer": (lambda: blocks.sequential(), "expected at least one layer; got none"),
    "filters": (
        lambda: blocks.conv(0, (3, 3)),
        "expected filters to be a positive integer; got 0",
    ),
    "features": (
        lambda: blocks.dense(True),
        "expected features to be a positive integer; got True",
    ),
    "multiplier": (
        lambda: blocks.depthwise_conv((3,), multiplier=-1),
        "expected multiplier to be a positive integer; got -1",
    ),
    "window": (
        lambda: blocks.max_pool((0, 2)),
        "expected window to be a tuple of positive integers, one for each spatial axis,"
        " such as (3, 3) for images or (3,) for sequences; got (0, 2)",
    ),
    "strides": (
        lambda: blocks.conv(4, (3, 3), strides=(1, 2, 3)),
        "expected strides to be an integer of at least 1, or 2 of them, one for each "
        "spatial axis; got (1, 2, 3)",
    ),
    "pool": (
        lambda: models.cnn(pool="sum"),
        "expected a pool of max, mean, lp, or None; got 'sum'",
    ),
    "groups and channels": (
        lambda: blocks.conv(4, (3, 3), groups=2).init(KEY, (8, 8, 3)),
        "expected groups that divide the 3 channels and the 4 filters; got 2",
    ),
    "groups and filters": (
        lambda: blocks.conv_transpose(3, (3,), groups=2).init(KEY, (8, 4)),
        "expected groups that divide the 4 channels and the 3 filters; got 2",
    ),
    "a layer that does not fit": (
        lambda: blocks.sequential(*models.lenet5().layers).init(KEY, (8, 8, 1)),
        "layer 2 (conv 5x5, 16) of 8, for inputs [4, 4, 6]: expected an input at least "
        "as large as the kernel: the padded input is 4x4, the kernel spans "
        "5x5; pad more, or make the kernel smaller",
    ),
    "another number of axes": (
        lambda: blocks.sequential(*models.lenet5().layers).init(KEY, (40, 1)),
        "layer 0 (conv 5x5, 6) of 8, for inputs [40, 1]: expected examples of shape "
        "[*space, channels] with 2 spatial axes, as a 5x5 kernel requires; got shape "
        "[40, 1]",
    ),
    "a vector for an image": (
        lambda: models.cnn().init(KEY, jnp.ones(3)),
        "expected an input [*batch, *space, channels] with 2 spatial axes, as conv 3x3,"
        " 16 asks; got shape [3]",
    ),
    "other channels": (
        lambda: nets.conv(
            nets.convolutional.ConvParams(jnp.ones((3, 2, 4)), None), jnp.ones((8, 3))
        ),
        "expected 2 channels in the input's last axis, to match the kernel; got 3",
    ),
    "parameters of other layers": (
        lambda: blocks.outputs(MIXED, (), jnp.ones(SHAPE)),
        f"expected parameters of {len(MIXED)} layers; got those of 0",
    ),
    "a residual of another shape": (
        lambda: blocks.residual(blocks.global_mean_pool(1)).apply(
            ((),), jnp.ones((4, 3))
        ),
        "expected layers whose output has the shape of their input, to which it is "
        "added; got [3] for [4, 3]",
    ),
    "a shape of another size": (
        lambda: blocks.reshape((2, 2, 3)).apply((), jnp.ones((5, 11))),
        "expected an input [*batch, 12] to reshape to [2, 2, 3]; got shape [5, 11]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_said(case):
    make, sentence = WRONG[case]
    with pytest.raises(ValueError) as refused:
        make()
    assert str(refused.value).startswith(sentence), refused.value


def test_lists_are_as_good_as_tuples():
    assert blocks.conv(4, [3, 3]) is blocks.conv(4, (3, 3))
    assert blocks.conv(4, [3, 3], strides=[2, 1]) is blocks.conv(
        4, (3, 3), strides=(2, 1)
    )
    assert blocks.max_pool([2, 2]) is blocks.max_pool((2, 2))
    assert blocks.upsample([2, 2]) is blocks.upsample((2, 2))
    assert models.cnn(filters=[2, 3], hidden=[4]) == models.cnn(
        filters=(2, 3), hidden=(4,)
    )


def test_equal_calls_make_the_same_layer():
    """So that jit, which knows functions by what they are, compiles once."""
    for one, other in zip(models.lenet5().layers, models.lenet5().layers, strict=True):
        assert one is other
    assert blocks.conv(4, (3,)) is blocks.conv(4, (3,), padding="valid", strides=1)
    assert blocks.conv(4, (3,)) is not blocks.conv(4, (3,), strides=2)
    assert blocks.sequential(*MIXED) is blocks.sequential(*MIXED)
    assert hash(models.cnn()) == hash(models.cnn())
    traced = []

    @partial(jax.jit, static_argnums=0)
    def run(model, variables, xs):
        traced.append(model)
        return model.apply(variables, xs)

    xs = jnp.ones((4, 3))
    for _ in range(2):
        model = models.feed_forward((5,), classes=2)
        run(model, variables_of(model, (3,)), xs)
    assert len(traced) == 1


NETWORKS = {
    "cnn": (models.cnn(4, (2, 3), pool="max", hidden=(5,)), (8, 8, 1)),
    "LeNet-5": (models.lenet5(4), (28, 28, 1)),
    "cnn_1d": (models.cnn_1d(4), (40, 1)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_train_step_compiles_for_every_platform(name):
    model, shape = NETWORKS[name]
    optimizer = optax.adam(1e-3)
    variables = variables_of(model, shape)

    def step(variables, memory, xs, labels):
        def loss(variables):
            logits = model.apply(variables, xs)
            return optax.losses.softmax_cross_entropy_with_integer_labels(
                logits, labels
            ).mean()

        value, gradients = jax.value_and_grad(loss)(variables)
        updates, memory = optimizer.update(gradients, memory, variables)
        return value, optax.apply_updates(variables, updates), memory

    args = variables, optimizer.init(variables), jnp.ones((4, *shape)), jnp.arange(4)
    exported = jax.export.export(jax.jit(step), platforms=["cpu", "cuda", "tpu"])(*args)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    shapes = [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(step, *args))]
    assert [leaf.shape for leaf in exported.out_avals] == shapes


@pytest.mark.parametrize("init", initializers.kernels.KERNELS)
def test_every_initializer_starts_every_layer(init):
    start = initializers.kernels.KERNELS[init]
    model = models.cnn(3, (2,), (3, 2), hidden=(5,), init=start)
    variables = jax.jit(model.init)(KEY, jnp.ones((4, 4, 1)))
    found = {name: block["layer"] for name, block in variables["params"].items()}
    assert set(found) == {"conv_0", "dense_3", "dense_4"}
    for params in found.values():
        assert (params[0] != 0).all()
        assert bool((params[1] != 0).any()) == (init == "torch")


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


def test_the_summary_says_which_layer_does_not_fit():
    layers = [blocks.conv(4, (3, 3)), blocks.conv(4, (9, 9))]
    with pytest.raises(ValueError, match=r"layer 1 \(conv 9x9, 4\) of 2, for inputs"):
        blocks.summary(layers, (8, 8, 1))


def test_a_call_that_was_made_excuses_no_other():
    blocks.dense(1)
    with pytest.raises(ValueError, match="got True"):
        blocks.dense(True)
    assert blocks.dense(2) is blocks.dense(2)
