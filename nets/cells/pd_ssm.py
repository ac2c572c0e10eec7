"""PD-SSM: a state space model whose states change places."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nets import initializers
from nets.elements import permuted_diagonal
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.linear_recurrence import linear_cell
from nets.tracing.tags import tag_gate
from nets.types import Cell


class PDSSMParams(NamedTuple):
    """Parameters of P, of D and of a complex system, as real arrays.

    w_s and m select P. w_i, b_i, w_o and b_o are two networks of one hidden layer, for
    the magnitude and then the phase of D. b and c are B and C; d_x is the D of y.
    """

    w_s: Float[Array, "inputs matrices"]
    m: Float[Array, "matrices features features"]
    w_i: Float[Array, "inputs 2*features"]
    b_i: Float[Array, " 2*features"]
    w_o: Float[Array, "2 features features"]
    b_o: Float[Array, " 2*features"]
    b_re: Float[Array, "inputs features"]
    b_im: Float[Array, "inputs features"]
    c_re: Float[Array, "features features"]
    c_im: Float[Array, "features features"]
    d_x: Float[Array, "inputs features"]


class PDSSMState(NamedTuple):
    """hidden [*batch, features], complex128 for float64, otherwise complex64."""

    hidden: Complex[Array, "*batch features"]


@factory
def pd_ssm(matrices: int = 6) -> Cell:
    """PD-SSM: one-hot columns times a complex diagonal, both of which the input sets.

        M = sum_k softmax(W_s x)_k M_k
        P = one-hot columns, 1 where the column of M is largest
        r = sigmoid(W_ro gelu(W_ri x + b_ri) + b_ro)
        phi = 2 pi sigmoid(W_po gelu(W_pi x + b_pi) + b_po)
        h' = P (r exp(i phi) h) + B x
        y = real(C h') + D x

    A product of such matrices has one entry per column too, so a state of N units can
    emulate an automaton of N states. Column sums of abs(P D) are below 1, so bounded
    inputs have bounded states. The gradient passes through P as through the softmax of
    each column of M (straight-through). D is full; in the paper it is diagonal.

    Args:
        matrices: Number of matrices M_k.

    Returns:
        A `Cell` with `PDSSMParams` and `PDSSMState`, whose output y is real. It runs in
        parallel over time. All parameters are initially normal. Variances are 1 /
        inputs for W_s, W_ri, W_pi and D, 1 / (2 inputs) for B, and 1 / features for all
        others; b_po has the mean -2.5, so that phases are small.

    Raises:
        ValueError: `matrices` is below 1.

    Example:
        >>> import nets
        >>> cell = pd_ssm()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)), parallel=True)
        >>> state.hidden.dtype.name, ys.shape, ys.dtype.name
        ('complex64', (10, 5, 8), 'float32')

    References:
        Terzic et al. 2025, Structured sparse transition matrices to enable state
        tracking in state-space models, https://arxiv.org/abs/2509.22284
        Bengio, Leonard and Courville 2013, Estimating or propagating gradients through
        stochastic neurons, https://arxiv.org/abs/1308.3432 (straight-through).
    """
    if matrices < 1:
        raise ValueError(f"expected at least 1 matrix; got {matrices}")

    def init(key, inputs, features):
        keys = iter(jax.random.split(key, 11))

        def normal(shape, variance):
            return math.sqrt(variance) * jax.random.normal(next(keys), shape)

        of_x, of_h = (inputs, features), (features, features)
        b_o = normal((2, features), 1 / features) - jnp.array([[0.0], [2.5]])
        return PDSSMParams(
            w_s=normal((inputs, matrices), 1 / inputs),
            m=normal((matrices, *of_h), 1 / features),
            w_i=normal((inputs, 2 * features), 1 / inputs),
            b_i=normal((2 * features,), 1 / features),
            w_o=normal((2, *of_h), 1 / features),
            b_o=b_o.ravel(),
            b_re=normal(of_x, 0.5 / inputs),
            b_im=normal(of_x, 0.5 / inputs),
            c_re=normal(of_h, 1 / features),
            c_im=normal(of_h, 1 / features),
            d_x=normal(of_x, 1 / inputs),
        )

    def initial_state(params, x):
        zeros = wide(initializers.zero_state(x, params.b_re, params.c_re))
        return PDSSMState(jax.lax.complex(zeros, zeros))

    def coefficients(params, state, xs):
        p, xs = wide(params, xs)
        r, phi = _magnitudes_and_phases(p, xs)
        r = tag_gate(r, "keep", retains=True)
        diagonal = jax.lax.complex(r * jnp.cos(phi), r * jnp.sin(phi))
        b = jax.lax.complex(xs @ p.b_re, xs @ p.b_im)
        factor: Any = (_one_hot_columns(p, xs), diagonal)
        return PDSSMState(factor), PDSSMState(b)

    def read(params, state, x):
        h = state.hidden
        dtype = jnp.result_type(x, *params)
        re, im, c_re, c_im = wide(h.real, h.imag, params.c_re, params.c_im)
        return (re @ c_re - im @ c_im + wide(x @ params.d_x)).astype(dtype)

    return linear_cell(init, initial_state, coefficients, read, permuted_diagonal)


def _one_hot_columns(params, xs):
    """P, exactly one-hot, with the gradient of the softmax of the columns of M."""
    weights = jax.nn.softmax(xs @ params.w_s, axis=-1)
    m = jnp.einsum("...k,kij->...ij", weights, params.m)
    soft = jax.nn.softmax(m, axis=-2)
    hard = jax.nn.one_hot(jnp.argmax(m, axis=-2), m.shape[-1], axis=-2, dtype=m.dtype)
    return hard + (soft - jax.lax.stop_gradient(soft))


def _magnitudes_and_phases(params, xs):
    """Polar coordinates of D."""
    w_r, w_p = params.w_o
    hidden = jax.nn.gelu(add_bias(xs @ params.w_i, params.b_i), approximate=False)
    hidden_r, hidden_p = jnp.split(hidden, 2, axis=-1)
    made = jnp.concatenate([hidden_r @ w_r, hidden_p @ w_p], axis=-1)
    r, phi = jnp.split(jax.nn.sigmoid(add_bias(made, params.b_o)), 2, axis=-1)
    return r, 2 * math.pi * phi
