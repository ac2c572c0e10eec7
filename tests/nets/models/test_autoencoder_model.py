"""The convolutional autoencoder: what passes its bottleneck, and by which ways."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import blocks
from nets.convolutional import ConvParams, DenseParams
from nets.models import Autoencoder
from nets.models.autoencoder import UPSAMPLING

SMALL = {"latent": 3, "filters": (2, 4)}
every_way = pytest.mark.parametrize("upsample", UPSAMPLING)


def drawn(model: Autoencoder, seed: int = 1):
    """Variables none of which is zero, without the cost of initialization."""
    xs = jnp.zeros(tuple(model.shape))
    return cases.draw(jax.eval_shape(model.init, jax.random.key(0), xs), seed=seed)


def apply(model: Autoencoder, *args: Any, **options: Any) -> Any:
    return model.apply(*args, **options)


@every_way
@pytest.mark.parametrize("shape", [(12, 3), (8, 4, 1), (4, 8, 4, 2)], ids=len)
def test_it_returns_the_shape_it_takes_in_1_2_and_3_dimensions(shape, upsample):
    kernel_size = (3,) * (len(shape) - 1)
    model = Autoencoder(shape, **SMALL, kernel_size=kernel_size, upsample=upsample)
    xs = jax.ShapeDtypeStruct((5, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), xs)
    assert jax.eval_shape(partial(apply, model), variables, xs).shape == xs.shape

    z, switches = jax.eval_shape(
        lambda v, xs: apply(model, v, xs, method="encode"), variables, xs
    )
    assert z.shape == (5, 3)
    pooled = [(5, *(n // 2**i for n in shape[:-1])) for i in (1, 2)]
    result = [indices.shape for indices in switches]
    assert result == (
        [(*pooled[0], 2), (*pooled[1], 4)] if upsample == "unpool" else []
    )
    alone = jax.eval_shape(
        lambda v, z: apply(model, v, z, method="decode"), variables, z
    )
    assert alone.shape == xs.shape


@every_way
def test_its_parts_make_the_whole(upsample):
    model = Autoencoder((8, 4, 1), **SMALL, upsample=upsample)
    variables, xs = drawn(model), cases.normal(2, 3, 8, 4, 1, scale=1.0)

    @jax.jit
    def run(variables, xs):
        z, switches = apply(model, variables, xs, method="encode")
        parts = apply(model, variables, z, switches, method="decode")
        return apply(model, variables, xs), parts, apply(model, variables, xs[1, 2])

    whole, parts, one = run(variables, xs)
    assert whole.shape == xs.shape
    assert 0 < whole.min() < whole.max() < 1
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    np.testing.assert_allclose(one, whole[1, 2], rtol=1e-5, atol=1e-6)


@every_way
def test_its_parameters_by_hand(upsample):
    model = Autoencoder((8, 8, 1), **SMALL, upsample=upsample)
    expected = (
        (9 * 1 * 2 + 2) + (9 * 2 * 4 + 4)  # convolutions that lead to 4 maps of 2x2
        + (16 * 3 + 3) + (3 * 16 + 16)  # to z and back
        + (9 * 4 * 2 + 2) + (9 * 2 * 1 + 1)  # convolutions that lead to one of 8x8
    )  # fmt: skip
    assert sum(leaf.size for leaf in jax.tree.leaves(drawn(model))) == expected
    rows = blocks.summary(model.layers, model.shape)
    assert sum(row.parameters for row in rows) == expected
    assert rows[-1].shape == (8, 8, 1)
    assert (3,) in [row.shape for row in rows]


@every_way
def test_the_table_is_of_the_network(upsample):
    """Its layers one after the other are the module, but for switches."""
    model = Autoencoder((8, 4, 1), **SMALL, upsample=upsample)
    variables, xs = drawn(model), cases.normal(3, 8, 4, 1, scale=1.0)
    params = dict(variables["params"])
    half = model.layers.index(blocks.dense(3, activation=None)) + 1
    names = [f"encoder_{i}" for i in range(half)]
    names += [f"decoder_{i}" for i in range(len(model.layers) - half)]
    ordered = [params.pop(name, {"layer": ()})["layer"] for name in names]
    assert not params

    @jax.jit
    def both(variables, params, xs):
        z, _ = apply(model, variables, xs, method="encode")
        decoded = apply(model, variables, z, method="decode")
        return blocks.outputs(model.layers, params, xs)[-1], decoded

    ys, decoded = both(variables, ordered, xs)
    np.testing.assert_allclose(ys, decoded, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_switches_set_each_maximum_where_it_was():
    """A network that does nothing but pool, unpool and squash."""
    one = ConvParams(jnp.ones((1, 1, 1, 1)), jnp.zeros(1))
    same = DenseParams(jnp.eye(4), jnp.zeros(4))
    variables = {
        "params": {
            "encoder_0": {"layer": one},
            "encoder_3": {"layer": same},
            "decoder_0": {"layer": same},
            "decoder_3": {"layer": one},
        }
    }
    model = Autoencoder((4, 4, 1), 4, (1,), (1, 1), upsample="unpool")
    xs = jnp.asarray(np.random.default_rng(0).permutation(16).reshape(4, 4, 1) + 1.0)
    maxima = nets.max_pool(xs, (2, 2))
    at_their_places = jnp.where(jnp.isin(xs, maxima), xs, 0.0)
    ys = apply(model, variables, xs)
    np.testing.assert_allclose(ys, jax.nn.sigmoid(at_their_places), rtol=1e-6)

    z, _ = apply(model, variables, xs, method="encode")
    at_the_first = jnp.zeros((4, 4, 1)).at[::2, ::2].set(maxima)
    ys = apply(model, variables, z, method="decode")
    np.testing.assert_allclose(ys, jax.nn.sigmoid(at_the_first), rtol=1e-6)


@pytest.mark.slow
@every_way
def test_gradients_reach_every_parameter_of_every_seed(upsample):
    model = Autoencoder((8, 4, 1), **SMALL, upsample=upsample)
    xs = cases.normal(16, 8, 4, 1, scale=1.0)
    seeds = [drawn(model, seed) for seed in (1, 2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)

    def loss(variables):
        return jnp.square(apply(model, variables, xs) - xs).mean()

    grad = jax.grad(loss)
    together = jax.jit(jax.vmap(grad))(stacked)
    for leaf in jax.tree.leaves(together):
        assert (jnp.abs(leaf).reshape(2, -1).max(axis=1) > 0).all()
    alone = jax.tree.map(lambda leaf: leaf[1], together)
    chex.assert_trees_all_close(alone, jax.jit(grad)(seeds[1]), rtol=1e-4, atol=1e-6)


def test_equal_models_are_equal():
    lists = Autoencoder([8, 8, 1], 8, [16, 32], [3, 3])
    assert lists == Autoencoder((8, 8, 1), 8)
    assert hash(lists) == hash(Autoencoder((8, 8, 1), 8))


MISTAKES = [
    ({"upsample": "bilinear"}, "upsample to be one of nearest, linear, transposed"),
    ({"filters": (4,) * 4}, "sizes that are multiples of 16, because each of 4 pools"),
    ({"shape": (8, 6, 1)}, "sizes that are multiples of 4, because each of 2 pools"),
    (
        {"shape": (8, 1)},
        "with 2 spatial axes, as a 3x3 kernel requires; got shape [8, 1]",
    ),
    ({"kernel_size": (3, 0)}, "kernel_size to be a tuple of positive integers"),
    ({"filters": ()}, "filters to be positive integers, one per block; got []"),
    ({"filters": (4, 0)}, "filters to be positive integers, one per block; got [4, 0]"),
    ({"latent": 0}, "expected latent to be a positive integer; got 0"),
]


@pytest.mark.parametrize(("changed", "sentence"), MISTAKES)
def test_a_mistake_is_reported_when_it_is_made(changed, sentence):
    with pytest.raises(ValueError) as error:
        Autoencoder(**{"shape": (8, 8, 1), **SMALL, **changed})
    assert sentence in str(error.value)


@pytest.mark.slow
def test_inputs_and_switches_must_fit():
    model = Autoencoder((8, 4, 1), **SMALL, upsample="unpool")
    variables = drawn(model)
    with pytest.raises(ValueError, match=r"\[\*batch, 8, 4, 1\], as the autoencoder"):
        apply(model, variables, jnp.ones((5, 4, 8, 1)))
    with pytest.raises(ValueError, match="switches of 2 pools, or none; got 1"):
        z, switches = apply(model, variables, jnp.ones((8, 4, 1)), method="encode")
        apply(model, variables, z, switches[:1], method="decode")
