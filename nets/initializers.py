"""How parameters and states begin."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers
from jaxtyping import Array, Float, Shaped

from nets.types import KeyArray


class Weights(NamedTuple):
    """The affine maps of a cell's gates, side by side in the order of their names.

    Attributes:
        w_i: From the input, [inputs, gates * features].
        w_h: From the hidden state, [hidden, gates * features].
        b_i: The input's bias, [gates * features].
        b_h: The hidden state's bias, likewise. A cell that has one bias has their sum.
    """

    w_i: Float[Array, "inputs outputs"]
    w_h: Float[Array, "hidden outputs"]
    b_i: Float[Array, " outputs"]
    b_h: Float[Array, " outputs"]


Scheme = Callable[..., Weights]
"""`weights = scheme(key, inputs, features, gates, hidden=None)`."""


def linen(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """As Flax's Linen draws them: every gate's recurrent matrix is orthogonal.

        W_i ~ truncated normal of variance 1 / inputs    (lecun_normal)
        W_h = [Q_1 ... Q_gates],  Q uniform over the orthogonal matrices

    so that all singular values of each Q are 1. Biases are zero, but for the forget
    gate of the minimal gated unit, which starts at 1.

    Args:
        key: A key of `jax.random.key`.
        inputs: Features of the input, at least 1.
        features: Hidden units, at least 1.
        gates: A letter a gate, "ifgo" in an LSTM. f and z keep the old state, i admits
            the new one, and n's recurrent half stands behind the reset gate.
        hidden: Length of the vector that w_h reads, if not `features`.

    Returns:
        The `Weights`.

    Example:
        >>> weights = linen(jax.random.key(0), inputs=3, features=8, gates="ifgo")
        >>> weights.w_i.shape, weights.w_h.shape, weights.b_i.shape
        ((3, 32), (8, 32), (32,))

    References:
        Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks, https://arxiv.org/abs/1312.6120
    """
    key_i, key_h = jax.random.split(key)
    w_i = jax_initializers.lecun_normal()(key_i, (inputs, len(gates) * features))
    blocks = [
        jax_initializers.orthogonal()(k, (hidden or features, features))
        for k in jax.random.split(key_h, len(gates))
    ]
    zeros = jnp.zeros(len(gates) * features)
    b_i = set_gate(zeros, gates, "f", 1.0) if gates == "fn" else zeros
    return Weights(w_i, jnp.concatenate(blocks, axis=-1), b_i, zeros)


def orthogonal(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Linen's weights, and forget gates that start open: what the cells here begin with.

        W_i, W_h as in `linen`;  b_f = 1, other biases 0

    Args:
        key: A key of `jax.random.key`.
        inputs: Features of the input, at least 1.
        features: Hidden units, at least 1.
        gates: A letter a gate, as in `linen`.
        hidden: Length of the vector that w_h reads, if not `features`.

    Returns:
        The `Weights`.

    Example:
        >>> orthogonal(jax.random.key(0), 3, 2, "ifgo").b_i.tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]

    References:
        Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent
        network architectures, ICML.
    """
    weights = linen(key, inputs, features, gates, hidden)
    return weights._replace(b_i=set_gate(weights.b_i, gates, "f", 1.0))


def set_gate(
    b: Float[Array, " outputs"],
    gates: str,
    gate: str,
    value: float | Float[Array, " features"],
) -> Float[Array, " outputs"]:
    """The bias with one gate's part set; as it is if there is no such gate.

    Args:
        b: Biases of all gates, [gates * features].
        gates: Their letters.
        gate: The letter of one.
        value: What its biases become.

    Returns:
        The new biases.

    Example:
        >>> set_gate(jnp.zeros(4), "rz", "z", 1.0).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    if gate not in gates:
        return b
    features = len(b) // len(gates)
    start = gates.index(gate) * features
    return b.at[start : start + features].set(value)


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
