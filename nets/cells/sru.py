"""The simple recurrent unit."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import variance_scaling
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, scale_features, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class SRUParams(NamedTuple):
    """w_i [inputs, 3 features] in order c f r, b [2 features] in order f r.

    v [2 features], in order f r, holds the weights of the state in the gates; None
    without peepholes. w_x [inputs, features] maps the input to the width of the output;
    None if the widths are equal.
    """

    w_i: Float[Array, "inputs 3*features"]
    b: Float[Array, " 2*features"]
    v: Float[Array, " 2*features"] | None
    w_x: Float[Array, "inputs features"] | None


class SRUState(NamedTuple):
    """cell [*batch, features], at least float32: steps accumulate in it."""

    cell: Float[Array, "*batch features"]


@factory
def sru(peephole: bool = False, highway_bias: float = 0.0) -> Cell:
    """The simple recurrent unit: an average of encoded inputs, with a highway.

        f = sigmoid(W_f x + v_f c + b_f),    v = 0 unless peephole
        r = sigmoid(W_r x + v_r c + b_r)
        c' = f c + (1 - f) W_c x
        h' = r c' + (1 - r) alpha x

    With v = 0 the gates read only the input, dc_T/dc_0 is the product of the f, and the
    cell runs in parallel over time. With v the gates also read the state, unit by unit.
    If inputs and features differ, W_x x replaces alpha x, as in the authors' code.

    Args:
        peephole: Whether the gates read the state through v. The cell is then not
            linear in its state.
        highway_bias: Initial value of b_r. It also determines alpha = sqrt(1 + 2
            exp(highway_bias)), so that initially h has about the variance of x.

    Returns:
        A `Cell` with `SRUParams` and `SRUState`; its output is h. Weights are initially
        uniform with variance 1 / inputs; W_x is multiplied by alpha. With peepholes, v
        is uniform with variance 1 / 2, and the weights of the gates have half of their
        variance, as in the authors' code.

    Example:
        >>> import nets
        >>> cell = sru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> ys.shape
        (10, 5, 8)

    References:
        Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence,
        https://arxiv.org/abs/1709.02755
    """
    alpha = math.sqrt(1 + 2 * math.exp(highway_bias))

    def init(key, inputs, features):
        key_i, key_v, key_x = jax.random.split(key, 3)
        uniform = variance_scaling(1.0, "fan_in", "uniform")
        c, f, r = jnp.split(uniform(key_i, (inputs, 3 * features)), 3, axis=-1)
        v, w_x, gain = None, None, math.sqrt(0.5) if peephole else 1.0
        if peephole:
            limit = math.sqrt(1.5)
            v = jax.random.uniform(key_v, (2 * features,), minval=-limit, maxval=limit)
        if inputs != features:
            w_x = alpha * uniform(key_x, (inputs, features))
        w_i = jnp.concatenate([c, gain * f, gain * r], axis=-1)
        b = jnp.repeat(jnp.array([0.0, highway_bias]), features)
        return SRUParams(w_i, b, v, w_x)

    def initial_state(params, x):
        if (params.v is not None) != peephole:
            raise ValueError(
                f"expected parameters of sru(peephole={peephole}); got those of "
                f"peephole={not peephole}: only peephole=True has v"
            )
        like = params.b.reshape(2, -1).T
        return SRUState(wide(initializers.zero_state(x, params.w_i, like)))

    def coefficients(params, state, xs):
        w_c, w_f, _ = jnp.split(params.w_i, 3, axis=-1)
        f = add_bias(*wide(xs @ w_f, jnp.split(params.b, 2)[0]))
        i = tag_gate(jax.nn.sigmoid(-f), "input")
        f = tag_gate(jax.nn.sigmoid(f), "forget", retains=True)
        return SRUState(f), SRUState(i * tag_candidate(wide(xs @ w_c)))

    def read(params, state, x):
        from_x = x @ jnp.split(params.w_i, 3, axis=-1)[2]
        r = add_bias(*wide(from_x, jnp.split(params.b, 2)[1]))
        r = tag_gate(jax.nn.sigmoid(r), "reset")
        return highway(params, r, state.cell, x)

    def highway(params, r, c, x):
        bypass = x if params.w_x is None else x @ params.w_x
        dtype = jnp.result_type(bypass, params.w_i)
        r, c, bypass = wide(r, c, bypass)
        bypass = alpha * bypass if params.w_x is None else bypass
        return (r * c + (1 - r) * bypass).astype(dtype)

    def step(params, state, x):
        from_x, v, b, c = wide(x @ params.w_i, params.v, params.b, state.cell)
        n, x_f, x_r = jnp.split(from_x, 3, axis=-1)
        (v_f, v_r), (b_f, b_r) = jnp.split(v, 2), jnp.split(b, 2)
        f = jax.nn.sigmoid(add_bias(x_f + scale_features(c, v_f), b_f))
        r = jax.nn.sigmoid(add_bias(x_r + scale_features(c, v_r), b_r))
        f, r = tag_gate(f, "forget", retains=True), tag_gate(r, "reset")
        c = (f * c + (1 - f) * tag_candidate(n)).astype(state.cell.dtype)
        return SRUState(c), highway(params, r, c, x)

    if peephole:
        return Cell(init, initial_state, step)
    return linear_cell(init, initial_state, coefficients, read)
