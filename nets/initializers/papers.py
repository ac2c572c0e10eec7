"""Initializers from papers, which determine the initial memory of a cell."""

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.initializers.libraries import linen
from nets.initializers.weights import Initializer, Weights, set_gate
from nets.types import KeyArray


def orthogonal(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """The default of most cells: Linen's weights, and initially open forget gates.

        W_i, W_h as in `linen`;  b_f = 1, other biases 0

    `Initializer` describes the arguments and the result.

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
    """The IRNN's initialization: identity recurrent matrices, small input weights.

        W_i ~ normal of deviation 0.001,   W_h = [I ... I],   b = 0

    It is intended for `elman` with ReLUs. The state then stays constant without input,
    and the gradient through active units neither vanishes nor explodes. If `hidden`
    differs from `features`, I is a rectangular identity matrix.

    `Initializer` describes the arguments and the result.

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
    """Chrono initialization: forget gates whose time scales cover those of the task.

        W_i, W_h as in `linen`
        b_f = log u,   u ~ U(1, max_time - 1)     for f, and for z
        b_i = -b_f                                if there is an i
        other biases 0

    Where W_i x + W_h h is zero, a unit forgets the fraction 1 - sigmoid(b_f) =
    1 / (1 + u) of its state per step. Its time scale is 1 + u steps, between 2 and
    `max_time`.

    Args:
        max_time: Longest time to remember, in steps, more than 2. If nothing else is
            known, use the length of the sequences.

    Returns:
        An `Initializer`; equal calls return the same object.

    Raises:
        ValueError: `max_time` is not a number above 2. The initializer raises it if the
            cell has neither f nor z.

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
    if not 2 < max_time < 1e38:  # the range from which float32 can draw
        raise ValueError(
            f"expected chrono's max_time to be above 2, and below 1e38; got {max_time}"
        )

    def init(key, inputs, features, gates, hidden=None):
        keeping = set(gates) & set("fz")
        if not keeping:
            raise ValueError(
                "expected a cell with a forget gate, f or z, whose bias chrono sets; "
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
