"""Common parts of the cells of linear oscillators."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets import initializers
from nets.elements import blocks
from nets.linear import wide
from nets.linear_recurrence import linear_cell
from nets.types import Cell


def oscillator_cell(
    init: Callable[..., Any],
    make_state: Callable[..., Any],
    matrices: Callable[[Any], tuple[Any, Any, Any, Any, Any]],
) -> Cell:
    """Make the cell (z', y') = M (z + dt B x, y), with the output real(C y') + D x.

    Args:
        init: `init` of the `Cell`. Its parameters have b_re, b_im, c_re, c_im and d.
        make_state: State of an array [*batch, features, 2].
        matrices: The step dt and the entries of M by rows, each [features].

    Returns:
        A `Cell`.

    Example:
        See `nets.linoss`.
    """

    def initial_state(params, x):
        zeros = wide(initializers.zero_state(x, params.b_re, params.c_re))
        zeros = jnp.zeros((*zeros.shape, 2), zeros.dtype)
        return make_state(jax.lax.complex(zeros, zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        dt, *entries = matrices(p)
        m = jnp.stack(entries, axis=-1).reshape(*dt.shape, 2, 2)
        forces = jax.lax.complex(xs @ p.b_re, xs @ p.b_im)
        weights = (dt[..., None] * m[..., 0]).astype(forces.dtype)
        weights = jnp.broadcast_to(weights, (*forces.shape, 2))
        m = jnp.broadcast_to(m, (len(xs), *[1] * (xs.ndim - 2), *m.shape))
        return make_state(m), make_state(forces[..., None] * weights)

    def read(params, state, x):
        position = state.hidden[..., 1]
        dtype = jnp.result_type(x, *params)
        re, im, c_re, c_im = wide(
            position.real, position.imag, params.c_re, params.c_im
        )
        y = re @ c_re - im @ c_im + wide(x @ params.d)
        return y.astype(dtype)

    return linear_cell(init, initial_state, coefficients, read, blocks)


def draw_projections(key: Any, inputs: int, features: int) -> dict[str, Any]:
    """B and C uniform, with bounds 1 / sqrt(inputs) and 1 / sqrt(features); D normal.

    Args:
        key: Key of `jax.random.key`.
        inputs: Number of inputs.
        features: Number of oscillators.

    Returns:
        The parameters b_re, b_im, c_re, c_im and d by their names.

    Example:
        >>> sorted(draw_projections(jax.random.key(0), 3, 8))
        ['b_im', 'b_re', 'c_im', 'c_re', 'd']
    """
    keys = jax.random.split(key, 5)

    def uniform(key, rows):
        bound = 1 / math.sqrt(rows)
        return jax.random.uniform(key, (rows, features), minval=-bound, maxval=bound)

    return {
        "b_re": uniform(keys[0], inputs),
        "b_im": uniform(keys[1], inputs),
        "c_re": uniform(keys[2], features),
        "c_im": uniform(keys[3], features),
        "d": jax.random.normal(keys[4], (inputs, features)) / math.sqrt(inputs),
    }
