"""What a scheme of initialisation is, and the biases of one gate."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float

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


@runtime_checkable
class Initializer(Protocol):
    """How the affine maps of a cell start: any function of this signature.

    A letter stands for what a gate does, so that one scheme serves all cells:

        i    admits the new state
        f    keeps the old state; of the LSTM and its kin, and of minimal gated units
        g    the LSTM's new state, before i
        o    shows the state
        r    resets the old state, in what n sees of it
        z    keeps the old state, as the GRU's does
        n    the new state, whose half from h may stand behind r: b_h counts there

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
            key: A key of `jax.random.key`.
            inputs: Features of the input, at least 1.
            features: Hidden units, at least 1.
            gates: A letter a gate, "ifgo" in an LSTM, in the order of the columns.
            hidden: Length of the vector that w_h reads, if not `features`.

        Returns:
            The `Weights`.
        """
        ...


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
        >>> import jax.numpy as jnp
        >>> set_gate(jnp.zeros(4), "rz", "z", 1.0).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    if gate not in gates:
        return b
    features = len(b) // len(gates)
    start = gates.index(gate) * features
    return b.at[start : start + features].set(value)
