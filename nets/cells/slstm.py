"""The sLSTM of xLSTM: an LSTM with an exponential input gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.cells._heads import check_heads
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class SLSTMParams(NamedTuple):
    """w_i [inputs, 4 features] and b, in order i f g o; w_h, the same within each head.

    w_h [heads, features / heads, 4 features / heads] is block-diagonal.
    """

    w_i: Float[Array, "inputs 4*features"]
    w_h: Float[Array, "heads size 4*size"]
    b: Float[Array, " 4*features"]


class SLSTMState(NamedTuple):
    """hidden, cell, normalizer and stabilizer, each [*batch, features].

    All except hidden are at least float32: steps accumulate in them.
    """

    hidden: Float[Array, "*batch features"]
    cell: Float[Array, "*batch features"]
    normalizer: Float[Array, "*batch features"]
    stabilizer: Float[Array, "*batch features"]


@factory
def slstm(
    heads: int = 1, init: initializers.Initializer = initializers.orthogonal
) -> Cell:
    """The sLSTM of xLSTM: an LSTM with exponential gates and a normalized cell.

        i, f, g, o = split(W_i x + W_h h + b)
        m' = max(i, log sigmoid(f) + m), or i where n = 0
        c' = exp(log sigmoid(f) + m - m') c + exp(i - m') tanh(g)
        n' = exp(log sigmoid(f) + m - m') n + exp(i - m')
        h' = sigmoid(o) c' / n'

    c / n is a weighted mean of tanh(g) over all steps so far. A step with a large i
    outweighs all earlier steps, so the cell can revise what it stored. m only keeps the
    exponentials finite: h is the same as with m = 0 at all steps. From a state of zeros
    n is at least 1, so the maximum of n and 1, which some of the authors' code takes,
    changes nothing.

    Args:
        heads: Number of heads. Units of different heads do not read each other's h: W_h
            has one block per head.
        init: Initializer of the parameters, from `nets.initializers`; each block is
            initialized as a separate cell. (The authors' code initializes W_h with
            zeros, and spreads the biases of the forget gate depending on the layer of a
            stack.)

    Returns:
        A `Cell` with `SLSTMParams` and `SLSTMState`; its output is h.

    Raises:
        ValueError: In `init`, `features` is not divisible by `heads`.

    Example:
        >>> import nets
        >>> cell = nets.slstm(heads=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> params.w_h.shape, ys.shape
        ((2, 4, 16), (10, 5, 8))

    References:
        Beck et al. 2024, xLSTM: extended long short-term memory,
        https://arxiv.org/abs/2405.04517
    """

    def init_params(key, inputs, features):
        check_heads(heads, features)
        key, *keys = jax.random.split(key, 1 + heads)
        w_i, _, b_i, b_h = init(key, inputs, features, "ifgo")
        blocks = [init(k, inputs, features // heads, "ifgo").w_h for k in keys]
        return SLSTMParams(w_i, jnp.stack(blocks), b_i + b_h)

    def initial_state(params, x):
        rows = params.w_h.reshape(-1, params.w_h.shape[-1])
        hidden, *others = initializers.zero_states(4, x, params.w_i, rows)
        return SLSTMState(hidden, *wide(others))

    def step(params, state, x, drop=lambda h: h):
        h, (c, n, m) = state.hidden, wide(tuple(state[1:]))
        heads, size, _ = params.w_h.shape
        h_in = drop(h).reshape(*h.shape[:-1], heads, size)
        h_in = jnp.einsum("...hi,hio->...ho", h_in, params.w_h)
        h_in = h_in.reshape(*h.shape[:-1], heads, 4, size).swapaxes(-3, -2)
        read = x @ params.w_i + h_in.reshape(*h.shape[:-1], 4 * heads * size)
        i, f, g, o = jnp.split(add_bias(*wide(read, params.b)), 4, axis=-1)

        kept = jax.nn.log_sigmoid(f) + m
        # Rounded before use: c and n must match the m in the new state.
        m = jnp.where(n == 0, i, jnp.maximum(i, kept)).astype(state.stabilizer.dtype)
        # Where n = 0 nothing is kept, and the gate is at most 1.
        admit, kept = jnp.exp(i - wide(m)), kept - wide(m)
        keep = jnp.exp(jnp.where(n == 0, jnp.minimum(kept, 0.0), kept))
        admit, keep = tag_gate(admit, "input"), tag_gate(keep, "forget", retains=True)
        o = tag_gate(jax.nn.sigmoid(o), "output")
        c = (keep * c + admit * tag_candidate(jnp.tanh(g))).astype(state.cell.dtype)
        n = (keep * n + admit).astype(state.normalizer.dtype)
        h = (o * wide(c) / wide(n)).astype(read.dtype)
        return SLSTMState(hidden=h, cell=c, normalizer=n, stabilizer=m), h

    return Cell(init_params, initial_state, step, takes_drop=True)
