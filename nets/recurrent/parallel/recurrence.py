"""Linear recurrences of small blocks, in parallel over time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.linear_recurrence import linear_scan


def block_scan(
    a: Float[Array, "time *axes k k"], b: Float[Array, "time *axes k"]
) -> Float[Array, "time *axes k"]:
    """Compute s_t = a_t s_{t-1} + b_t for all t from s_{-1} = 0.

    It is differentiated as a linear system, as `nets.linear_scan` is.

    Args:
        a: Matrices.
        b: Summands.

    Returns:
        The states s_0 ... s_{time-1}.

    Example:
        >>> block_scan(jnp.full((3, 1, 1), 2.0), jnp.ones((3, 1))).ravel().tolist()
        [1.0, 3.0, 7.0]
    """
    if a.shape[-1] == 1:
        return linear_scan(a[..., 0], b, jnp.zeros_like(b[0]))

    def residual(s):
        before = jnp.concatenate([jnp.zeros_like(s[:1]), s[:-1]])
        return s - _apply(a, before)

    def backward(_, b):
        after = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])]).swapaxes(-1, -2)
        return _join_all(after[::-1], b[::-1])[::-1]

    return jax.lax.custom_linear_solve(
        residual, b, lambda _, b: _join_all(a, b), backward
    )


def _apply(a, s):
    """Matrices times vectors."""
    return jnp.matmul(a, s[..., None], precision="highest")[..., 0]


def _join_all(a: Array, b: Array) -> Array:
    """Compute s_t = a_t s_{t-1} + b_t from s_{-1} = 0."""

    def join(first, second):
        (a1, b1), (a2, b2) = first, second
        return jnp.matmul(a2, a1, precision="highest"), _apply(a2, b1) + b2

    products, states = jax.lax.associative_scan(join, (a, b))
    # Every product of the tree is a factor of a product of the first steps.
    return jax.lax.cond(
        jnp.isfinite(products).all(), lambda *_: states, _join_all_growing, a, b
    )


def _join_all_growing(a: Array, b: Array) -> Array:
    """Like `_join_all`, with products stored as a matrix times a power of 2.

    Otherwise an infinite product times a state of zero would be NaN.
    """

    def join(first, second):
        (a1, power1, b1), (a2, power2, b2) = first, second
        a12, power = _normalized(jnp.matmul(a2, a1, precision="highest"))
        return (
            a12,
            power + power1 + power2,
            jnp.ldexp(_apply(a2, b1), power2[..., None]) + b2,
        )

    return jax.lax.associative_scan(join, (*_normalized(a), b))[2]


def _normalized(a: Array) -> tuple[Array, Array]:
    """Split matrices into matrices whose largest entry is about 1, and powers of 2."""
    power = jnp.frexp(jnp.abs(a).max(axis=(-2, -1)))[1]
    return jnp.ldexp(a, -power[..., None, None]), power
