"""Networks of images: parameters, shapes, initializers and training steps."""

import math
from functools import partial

import cases
import chex
import jax
import jax.export
import jax.numpy as jnp
import optax
import pytest

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


WRONG = {
    "pool": (
        lambda: models.cnn(pool="sum"),
        "expected a pool of max, mean, lp, or None; got 'sum'",
    ),
    "a vector for an image": (
        lambda: models.cnn().init(KEY, jnp.ones(3)),
        "expected an input [*batch, *space, channels] with 2 spatial axes, as conv 3x3,"
        " 16 asks; got shape [3]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_reported(case):
    make, sentence = WRONG[case]
    with pytest.raises(ValueError) as refused:
        make()
    assert str(refused.value).startswith(sentence), refused.value


def test_equal_networks_compile_once():
    assert models.cnn(filters=[2, 3], hidden=[4]) == models.cnn(
        filters=(2, 3), hidden=(4,)
    )
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
    result = {name: block["layer"] for name, block in variables["params"].items()}
    assert set(result) == {"conv_0", "dense_3", "dense_4"}
    for params in result.values():
        assert (params[0] != 0).all()
        assert bool((params[1] != 0).any()) == (init == "torch")
