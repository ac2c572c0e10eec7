"""The schemes of papers, which decide how long a cell remembers at the start."""

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.initializers.libraries import linen
from nets.initializers.weights import Initializer, Weights, set_gate
from nets.types import KeyArray


def orthogonal(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Linen's weights, and forget gates that start open: how most cells here begin.

        W_i, W_h as in `linen`;  b_f = 1, other biases 0

    Args:
        key: A key of `jax.random.key`.
        inputs: Features of the input, at least 1.
        features: Hidden units, at least 1.
        gates: A letter a gate, as in `Initializer`.
        hidden: Length of the vector that w_h reads, if not `features`.

    Returns:
        The `Weights`: [inputs, gates * features] and so on.

    Example:
        >>> orthogonal(jax.random.key(0), 3, 2, "ifgo").b_i.tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]

    References:
        Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent
        network architectures, ICML.
    """
    weights = linen(key, inputs, features, gates, hidden)
    return weights._replace(b_i=set_gate(weights.b_i, gates, "f", 1.0))


def irnn(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Every gate's recurrent matrix is the identity, and the input's weights are small.

        W_i ~ normal of deviation 0.001,   W_h = [I ... I],   b = 0

    Meant for the `elman` of ReLUs, whose state then stays as it is until it is driven:
    the gradient neither dies nor explodes where the units are on. Where `hidden` is not
    `features`, I is as much of the identity as fits.

    Args:
        key: A key of `jax.random.key`.
        inputs: Features of the input, at least 1.
        features: Hidden units, at least 1.
        gates: A letter a gate, as in `Initializer`.
        hidden: Length of the vector that w_h reads, if not `features`.

    Returns:
        The `Weights`: [inputs, gates * features] and so on.

    Example:
        >>> irnn(jax.random.key(0), 3, 2, "n").w_h.tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    References:
        Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of
        rectified linear units, https://arxiv.org/abs/1504.00941
    """
    outputs = len(gates) * features
    w_i = 0.001 * jax.random.normal(key, (inputs, outputs))
    w_h = jnp.tile(jnp.eye(hidden or features, features), len(gates))
    return Weights(w_i, w_h, jnp.zeros(outputs), jnp.zeros(outputs))


@factory
def chrono(max_time: int | float) -> Initializer:
    """Gates that forget as slowly as the task needs, each unit at a pace of its own.

        W_i, W_h as in `linen`
        b_f = log u,   u ~ U(1, max_time - 1)     for f, and for z
        b_i = -b_f                                if there is an i
        other biases 0

    Where W_i x + W_h h is zero, a unit forgets a share 1 - sigmoid(b_f) = 1 / (1 + u)
    of its state a step: over 1 + u steps, which is from 2 to `max_time`.

    Args:
        max_time: The longest time to remember, in steps, more than 2: the length of
            the sequences if nothing else is known.

    Returns:
        A `Initializer`; equal calls return the same.

    Raises:
        ValueError: max_time is not a number above 2; or, from the scheme, the cell has
            neither f nor z.

    Example:
        >>> b = chrono(50)(jax.random.key(0), 3, 4, "ifgo").b_i
        >>> jnp.exp(b[4:8]).round(1).tolist() == jnp.exp(-b[:4]).round(1).tolist()
        True
        >>> bool((jnp.exp(b[4:8]) <= 49.001).all())
        True

    References:
        Tallec and Ollivier 2018, Can recurrent neural networks warp time?,
        https://arxiv.org/abs/1804.11188
    """
    if not 2 < max_time < 1e38:  # of which float32 can draw
        raise ValueError(
            f"expected chrono's max_time to be above 2, and below 1e38; got {max_time}"
        )

    def init(key, inputs, features, gates, hidden=None):
        keeping = set(gates) & set("fz")
        if not keeping:
            raise ValueError(
                "expected a cell with a forget gate, f or z, as chrono sets its bias; "
                f"got one with the gates {gates!r}"
            )
        key, key_u = jax.random.split(key)
        u = jax.random.uniform(key_u, (features,), minval=1.0, maxval=max_time - 1.0)
        weights = linen(key, inputs, features, gates, hidden)
        b = set_gate(weights.b_i, gates, "i", -jnp.log(u))
        for gate in sorted(keeping):
            b = set_gate(b, gates, gate, jnp.log(u))
        return weights._replace(b_i=b)

    return init
