"""Linear recurrences of small blocks, in parallel over time."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.elements import elementwise, left_factor
from nets.elements.element import tree
from nets.linear_recurrence import linear_scan


def block_scan(
    a: Float[Array, "time *axes k k"],
    b: Float[Array, "time *axes k"],
    *,
    growing: bool = True,
) -> Float[Array, "time *axes k"]:
    """Compute s_t = A_t s_{t-1} + b_t for all t from s_{-1} = 0.

    Args:
        a: Matrices.
        b: Summands.
        growing: Compute zeros before the first summand correctly, where products of
            matrices overflow. After it such a state is not finite.

    Returns:
        The states s_0 ... s_{time-1}.

    Example:
        >>> block_scan(jnp.full((3, 1, 1), 2.0), jnp.ones((3, 1))).ravel().tolist()
        [1.0, 3.0, 7.0]
    """
    size, start = a.shape[-1], jnp.zeros_like(b[0])
    if size == 1:
        form = elementwise if growing else elementwise._replace(scan=None)
        return linear_scan(a[..., 0], b, start, form)
    form = left_factor._replace(scan=_from_first_summand if growing else None)
    return linear_scan(a, b[..., None], start[..., None], form)[..., 0]


def _from_first_summand(element, a, b):
    """States by a tree, which are zero up to the first summand that is not zero.

    A product of matrices that overflows times such a zero would be NaN.
    """
    given = (b != 0).any(axis=(-2, -1), keepdims=True)
    given = jnp.cumsum(given, axis=0) > 0
    given = jnp.concatenate([jnp.zeros_like(given[:1]), given[:-1]])
    return tree(element, jnp.where(given, a, 0), b)
