"""How parameters and states begin."""

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal, orthogonal
from jaxtyping import Array, Float, Shaped

from nets.types import KeyArray


def linen(
    key: KeyArray, inputs: int, features: int, gates: int = 1
) -> tuple[Float[Array, "inputs outputs"], Float[Array, "features outputs"]]:
    """Weights as Flax's Linen draws them: every gate's recurrent matrix is orthogonal.

        W_i ~ truncated normal of variance 1 / inputs    (lecun_normal)
        W_h = [Q_1 ... Q_gates],  Q uniform over the orthogonal matrices

    so that all singular values of each Q are 1.

    Args:
        key: A key of `jax.random.key`.
        inputs: Features of the input, at least 1.
        features: Hidden units, at least 1.
        gates: Matrices side by side, 4 in an LSTM.

    Returns:
        w_i of shape [inputs, gates * features], and w_h [features, gates * features].

    Example:
        >>> w_i, w_h = linen(jax.random.key(0), inputs=3, features=8, gates=4)
        >>> w_i.shape, w_h.shape
        ((3, 32), (8, 32))

    References:
        Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks, https://arxiv.org/abs/1312.6120
    """
    key_i, key_h = jax.random.split(key)
    w_i = lecun_normal()(key_i, (inputs, gates * features))
    blocks = [
        orthogonal()(k, (features, features)) for k in jax.random.split(key_h, gates)
    ]
    return w_i, jnp.concatenate(blocks, axis=-1)


def zero_state(
    x: Shaped[Array, "*batch inputs"],
    w_i: Float[Array, "rows outputs"],
    w_h: Float[Array, "features columns"],
) -> Float[Array, "*batch features"]:
    """Zeros for one vector of state, of the dtype that a step will give it.

    Args:
        x: One step's input, [*batch, inputs].
        w_i: The cell's input weights, [inputs, ...].
        w_h: Its recurrent weights, [features, ...].

    Returns:
        Zeros, [*batch, features].

    Raises:
        ValueError: `x` has another number of features than the cell was made for.

    Example:
        >>> zero_state(jnp.ones((5, 3)), jnp.ones((3, 8)), jnp.ones((8, 8))).shape
        (5, 8)
    """
    if x.ndim < 1 or x.shape[-1] != w_i.shape[0]:
        raise ValueError(
            f"expected an input [*batch, inputs] with inputs = {w_i.shape[0]}, as the "
            f"parameters were made for; got one of shape {list(x.shape)}"
        )
    return jnp.zeros((*x.shape[:-1], w_h.shape[0]), jnp.result_type(x, w_i, w_h))
