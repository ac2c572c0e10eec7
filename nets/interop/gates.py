"""The gates of a cell, side by side in its arrays."""

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
    """`count` times `letter`, as `nets.interop.names.read` has it.

    Args:
        count: How many.
        letter: Of what size.

    Returns:
        A word of a shape.

    Example:
        >>> axis(4, "H"), axis(1, "H")
        ('4H', 'H')
    """
    return letter if count == 1 else f"{count}{letter}"


def split_gates(
    a: Float[Array, "*rows outputs"], gates: str
) -> dict[str, Float[Array, "*rows features"]]:
    """The part of each gate.

    Args:
        a: Gates side by side on the last axis.
        gates: Their letters, in order.

    Returns:
        The parts by letter.

    Example:
        >>> parts = split_gates(jnp.array([1.0, 1.0, 2.0, 2.0]), "fn")
        >>> parts["n"].tolist()
        [2.0, 2.0]
    """
    return dict(zip(gates, jnp.split(a, len(gates), axis=-1), strict=True))


def reorder(
    a: Float[Array, "*rows outputs"], gates: str, order: str
) -> Float[Array, "*rows outputs"]:
    """The same gates in another order.

    Args:
        a: Gates side by side on the last axis.
        gates: Their letters, in order.
        order: The same letters in the order to come.

    Returns:
        An array of a's shape.

    Example:
        >>> reorder(jnp.array([1.0, 2.0, 3.0]), "rzn", "zrn").tolist()
        [2.0, 1.0, 3.0]
    """
    parts = split_gates(a, gates)
    return jnp.concatenate([parts[gate] for gate in order], axis=-1)


def join_gru_biases(
    b_i: Float[Array, " outputs"], b_h: Float[Array, " outputs"]
) -> tuple[Float[Array, " outputs"], Float[Array, " features"]]:
    """The two biases of a GRU that resets after its product, as ours.

        b = [b_ir + b_hr, b_iz + b_hz, b_in],    b_hn

    Args:
        b_i: The input's, gates in order r z n.
        b_h: The hidden state's, likewise.

    Returns:
        b and b_hn.

    Example:
        >>> [b.tolist() for b in join_gru_biases(jnp.ones(3), jnp.ones(3))]
        [[2.0, 2.0, 1.0], [1.0]]
    """
    h_r, h_z, h_n = jnp.split(b_h, 3)
    return b_i + jnp.concatenate([h_r, h_z, jnp.zeros_like(h_n)]), h_n


def hidden_bias(b_hn: Float[Array, " features"]) -> Float[Array, " outputs"]:
    """The hidden state's bias of a GRU whose other bias is `GRUParams.b`.

    Args:
        b_hn: `GRUParams.b_hn`.

    Returns:
        [0, 0, b_hn], in any order of gates that has n last.

    Example:
        >>> hidden_bias(jnp.ones(1)).tolist()
        [0.0, 0.0, 1.0]
    """
    return jnp.pad(b_hn, (2 * len(b_hn), 0))


def needs_b_hn(params: GRUParams, module: str) -> jax.Array:
    """b_hn, for a library whose GRU resets after the product.

    Args:
        params: Any `GRUParams`.
        module: What they are to become.

    Returns:
        `params.b_hn`.

    Raises:
        ValueError: It is None.

    Example:
        >>> zeros = jnp.zeros((1, 3))
        >>> needs_b_hn(GRUParams(zeros, zeros, zeros[0], b_hn=None), "torch.nn.GRU")
        Traceback (most recent call last):
        ValueError: expected a b_hn, as torch.nn.GRU resets after the product; got \
None, as of gru(reset_after=False)
    """
    if params.b_hn is None:
        raise ValueError(
            f"expected a b_hn, as {module} resets after the product; got None, as of "
            "gru(reset_after=False)"
        )
    return params.b_hn
