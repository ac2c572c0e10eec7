"""The `Initializer` protocol and the `Weights` that it returns."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float

from nets.types import KeyArray


class Weights(NamedTuple):
    """Affine maps of a cell's gates, concatenated in the order of the gates.

    Attributes:
        w_i: Weights of the input, [inputs, gates * features].
        w_h: Weights of the hidden state, [hidden, gates * features].
        b_i: Bias of the input, [gates * features].
        b_h: Bias of the hidden state, [gates * features]. A cell with one bias uses the
            sum b_i + b_h.
    """

    w_i: Float[Array, "inputs outputs"]
    w_h: Float[Array, "hidden outputs"]
    b_i: Float[Array, " outputs"]
    b_h: Float[Array, " outputs"]


@runtime_checkable
class Initializer(Protocol):
    """Initializer of the affine maps of a cell: any function with this signature.

    One letter per gate specifies its role, so that one initializer serves all cells:

        i    weights the new state (input gate)
        f    weights the old state (forget gate of LSTMs and minimal gated units)
        g    the candidate of an LSTM, which i weights
        o    weights the output (output gate)
        r    weights the old state inside n (reset gate)
        z    weights the old state (update gate of GRUs)
        n    the candidate; r may weight its part from h, so its b_h matters

    Example:
        All weights zero:

        >>> import jax, jax.numpy as jnp, nets
        >>> from nets.initializers import Weights
        >>> def zeros(key, inputs, features, gates, hidden=None):
        ...     shapes = (inputs, hidden or features)
        ...     outputs = len(gates) * features
        ...     w_i, w_h = (jnp.zeros((n, outputs)) for n in shapes)
        ...     return Weights(w_i, w_h, jnp.zeros(outputs), jnp.zeros(outputs))
        >>> nets.gru(init=zeros).init(jax.random.key(0), 3, 8).w_h.shape
        (8, 24)
    """

    def __call__(
        self,
        key: KeyArray,
        inputs: int,
        features: int,
        gates: str,
        hidden: int | None = None,
    ) -> Weights:
        """Draw the weights.

        Args:
            key: PRNG key, from `jax.random.key`.
            inputs: Number of features of the input, at least 1.
            features: Number of hidden units, at least 1.
            gates: One letter per gate in the order of the columns, e.g. "ifgo" for an
                LSTM.
            hidden: Number of rows of w_h, the length of the vector that it reads.
                Default: `features`.

        Returns:
            `Weights` of the gates.
        """
        ...


def set_gate(
    b: Float[Array, " outputs"],
    gates: str,
    gate: str,
    value: float | Float[Array, " features"],
) -> Float[Array, " outputs"]:
    """Set the bias of one gate; without such a gate, return the bias unchanged.

    Args:
        b: Biases of all gates, [gates * features].
        gates: Letters of all gates.
        gate: Letter of the gate to set.
        value: New value of this gate's biases.

    Returns:
        The new biases.

    Example:
        >>> import jax.numpy as jnp
        >>> set_gate(jnp.zeros(4), "rz", "z", 1.0).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    if gate not in gates:
        return b
    features = len(b) // len(gates)
    start = gates.index(gate) * features
    return b.at[start : start + features].set(value)
