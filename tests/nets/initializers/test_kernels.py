"""How convolutions and dense layers begin: the distributions of their sources."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from nets import blocks
from nets.initializers.kernels import KERNELS

SHAPE = (5, 5, 16, 64)  # 25,600 numbers


def drawn(name, shape=SHAPE):
    return KERNELS[name](jax.random.key(0), shape)


def assert_same_distribution(ours, theirs):
    """Quantiles of two samples, as close as samples of this size are."""
    levels = np.linspace(0.02, 0.98, 49)
    one, other = (np.quantile(np.asarray(a), levels) for a in (ours, theirs))
    spread = float(np.asarray(theirs).std())
    np.testing.assert_allclose(one, other, atol=0.05 * spread)


def test_linen():
    variables: Any = nn.Conv(64, (5, 5)).init(
        jax.random.key(1), jnp.ones((1, 8, 8, 16))
    )
    kernel, bias = drawn("linen")
    assert_same_distribution(kernel, variables["params"]["kernel"])
    assert not bias.any() and not variables["params"]["bias"].any()


def test_keras():
    layer = keras.layers.Conv2D(64, 5)
    layer.build((None, 8, 8, 16))
    kernel, bias = drawn("keras")
    assert_same_distribution(kernel, layer.kernel)
    assert not bias.any() and not np.asarray(layer.bias).any()


def test_torch():
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(16, 64, 5)
    kernel, bias = drawn("torch")
    assert_same_distribution(kernel, layer.weight.detach().numpy())
    bound = float(np.abs(layer.bias.detach().numpy()).max())
    assert 0.85 <= float(abs(bias).max()) / bound <= 1.15
    dense = torch.nn.Linear(400, 64)
    kernel, _ = drawn("torch", (400, 64))
    assert_same_distribution(kernel, dense.weight.detach().numpy())


def test_he_is_wider_by_the_root_of_two():
    ratio = drawn("he")[0].std() / drawn("linen")[0].std()
    np.testing.assert_allclose(ratio, 2**0.5, rtol=0.02)


@pytest.mark.parametrize("name", KERNELS)
def test_a_layer_starts_from_its_initializer(name):
    layer = blocks.conv(64, (5, 5), init=KERNELS[name])
    params = layer.init(jax.random.key(0), (8, 8, 16))
    kernel, bias = drawn(name)
    np.testing.assert_array_equal(params.kernel, kernel)
    np.testing.assert_array_equal(params.bias, bias)
