"""Gates of a cell, which are concatenated in its arrays."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.cells.conv_lstm import ConvLSTMParams
from nets.cells.elman import ElmanParams
from nets.cells.gru import GRUParams
from nets.cells.lstm import LSTMParams
from nets.cells.mgu import MGUParams
from nets.cells.projected_lstm import ProjectedLSTMParams

GATES = {
    ElmanParams: "n",
    LSTMParams: "ifgo",
    ProjectedLSTMParams: "ifgo",
    ConvLSTMParams: "ifgo",
    GRUParams: "rzn",
    MGUParams: "fn",
}
"""The letter of each gate, in our order."""


def axis(count: int, letter: str) -> str:
    """Format the size `count` * `letter`, as `nets.interop.names.read` expects it.

    Args:
        count: Factor, a positive integer.
        letter: Letter of the size.

    Returns:
        Size of one axis, as text.

    Example:
        >>> axis(4, "H"), axis(1, "H")
        ('4H', 'H')
    """
    return letter if count == 1 else f"{count}{letter}"


def split_gates(
    a: Float[Array, "*rows outputs"], gates: str
) -> dict[str, Float[Array, "*rows features"]]:
    """Split an array into the parts of its gates.

    Args:
        a: Array with the gates concatenated on its last axis.
        gates: Letters of the gates, in order.

    Returns:
        Parts by letter.

    Example:
        >>> parts = split_gates(jnp.array([1.0, 1.0, 2.0, 2.0]), "fn")
        >>> parts["n"].tolist()
        [2.0, 2.0]
    """
    return dict(zip(gates, jnp.split(a, len(gates), axis=-1), strict=True))


def reorder(
    a: Float[Array, "*rows outputs"], gates: str, order: str
) -> Float[Array, "*rows outputs"]:
    """Change the order of the gates in an array.

    Args:
        a: Array with the gates concatenated on its last axis.
        gates: Letters of the gates, in order.
        order: The same letters in the new order.

    Returns:
        An array with the shape of `a`.

    Example:
        >>> reorder(jnp.array([1.0, 2.0, 3.0]), "rzn", "zrn").tolist()
        [2.0, 1.0, 3.0]
    """
    parts = split_gates(a, gates)
    return jnp.concatenate([parts[gate] for gate in order], axis=-1)


def join_gru_biases(
    b_i: Float[Array, " outputs"], b_h: Float[Array, " outputs"]
) -> tuple[Float[Array, " outputs"], Float[Array, " features"]]:
    """Combine the two biases of a GRU that resets after its product.

        b = [b_ir + b_hr, b_iz + b_hz, b_in],    b_hn

    Args:
        b_i: Bias of the input, gate order r z n.
        b_h: Bias of the hidden state, gate order r z n.

    Returns:
        The biases b and b_hn of `GRUParams`.

    Example:
        >>> [b.tolist() for b in join_gru_biases(jnp.ones(3), jnp.ones(3))]
        [[2.0, 2.0, 1.0], [1.0]]
    """
    h_r, h_z, h_n = jnp.split(b_h, 3)
    return b_i + jnp.concatenate([h_r, h_z, jnp.zeros_like(h_n)]), h_n


def hidden_bias(b_hn: Float[Array, " features"]) -> Float[Array, " outputs"]:
    """Return the bias of the hidden state, if that of the input is `GRUParams.b`.

    Args:
        b_hn: `GRUParams.b_hn`.

    Returns:
        [0, 0, b_hn], for any gate order with n last.

    Example:
        >>> hidden_bias(jnp.ones(1)).tolist()
        [0.0, 0.0, 1.0]
    """
    return jnp.pad(b_hn, (2 * len(b_hn), 0))


def needs_b_hn(params: GRUParams, module: str) -> jax.Array:
    """Return b_hn, which a GRU that resets after the product requires.

    Args:
        params: Parameters of a GRU.
        module: Name of the target module, for the error message.

    Returns:
        `params.b_hn`.

    Raises:
        ValueError: b_hn is None.

    Example:
        >>> zeros = jnp.zeros((1, 3))
        >>> needs_b_hn(GRUParams(zeros, zeros, zeros[0], b_hn=None), "torch.nn.GRU")
        Traceback (most recent call last):
        ValueError: expected a b_hn, because torch.nn.GRU resets after the product; \
got None, as of gru(reset_after=False)
    """
    if params.b_hn is None:
        raise ValueError(
            f"expected a b_hn, because {module} resets after the product; got None, "
            "as of gru(reset_after=False)"
        )
    return params.b_hn
