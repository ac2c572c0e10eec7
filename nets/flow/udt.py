"""Products of many matrices in graded form, Q diag(2^k) W.

A product of a hundred Jacobians has singular values from 1e-1 to 1e-60. They are too
far apart for one array of float32, or of float64. So the product is kept as

    P = Q diag(2^k) W,   Q orthonormal,   rows of W of a size close to 1

(the "UDT" of quantum Monte Carlo), and its singular values are computed in this form.
The k are whole numbers, so that their rounding errors do not add up over thousands of
steps.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nets.flow.ranks import HIGHEST, LOST, triangle

SWEEPS = 30  # largest number of Jacobi sweeps; a handful suffices


class UDT(NamedTuple):
    """The product q diag(2^k) w.

    Attributes:
        q: Orthonormal columns, [*batch, n, n].
        k: Whole numbers, [*batch, n]; -inf where rank was lost.
        w: Rows of a size close to 1, [*batch, n, n].
        doubts: Doubts of `ranks.triangle`, [*batch, n]; None if there are none.
    """

    q: Float[Array, "*batch n n"]
    k: Float[Array, "*batch n"]
    w: Float[Array, "*batch n n"]
    doubts: Int[Array, "*batch n"] | None = None


def times(
    moved: Float[Array, "*batch n n"],
    product: UDT,
    rows: Float[Array, "*batch n"] | None = None,
    sizes: Float[Array, "*batch n"] | None = None,
    most: Int[Array, ""] | None = None,
) -> UDT:
    """J P in graded form, from J Q.

    The columns of J Q diag(2^k) are sorted in descending order of size, so that R of
    their QR decomposition is graded row by row: 2^-k' R 2^k has no entry above 1. Rows
    that consist of rounding errors are permanently lost.

    Args:
        moved: J q, [*batch, n, n].
        product: P.
        rows: |J_i|, to which the errors of each row of J q are relative; by default the
            size of the row of J q.
        sizes: Sizes to which the errors of each column are relative, if known.
        most: Number of steps that a row may be in doubt before it is lost.

    Returns:
        J P as a `UDT`.

    Example:
        >>> eye, eighth = jnp.eye(2), 0.125 * jnp.eye(2)
        >>> product = times(eighth, UDT(eye, jnp.zeros(2), eye))
        >>> product.k.tolist(), jnp.abs(product.w).tolist()
        ([-2.0, -2.0], [[0.5, 0.0], [0.0, 0.5]])
    """
    order = jnp.argsort(-(product.k + _log2(_norm(moved, -2))), axis=-1)
    doubts = jnp.zeros_like(order) if product.doubts is None else product.doubts
    doubts = jnp.where(jnp.isneginf(product.k), LOST, doubts)
    doubts = jnp.take_along_axis(doubts, order, axis=-1)
    rows = _norm(moved, -1) if rows is None else rows
    q, upper, _, order, doubts = triangle(moved, rows, sizes, order, doubts)
    if most is not None:
        doubts = jnp.where(doubts > most, LOST, doubts)
    lost = doubts == LOST
    before = jnp.take_along_axis(product.k, order, axis=-1)
    w = jnp.take_along_axis(product.w, order[..., :, None], axis=-2)
    # A row is measured by its largest entry, which may be larger than R_ii.
    digits, powers = jnp.frexp(upper)
    nothing = (digits == 0) | lost[..., None]
    powers = powers.astype(before.dtype) + before[..., None, :]
    powers = jnp.where(nothing, -jnp.inf, powers)
    after = powers.max(axis=-1)
    known = jnp.isfinite(after)
    scaled = _shifted(digits, powers - jnp.where(known, after, 0)[..., None])
    eye = jnp.broadcast_to(jnp.eye(scaled.shape[-1], dtype=scaled.dtype), scaled.shape)
    w = jnp.matmul(jnp.where(known[..., None], scaled, eye), w, precision=HIGHEST)
    _, powers = jnp.frexp(jnp.abs(w).max(axis=-1))
    powers = powers.astype(w.dtype)
    w = _shifted(w, jnp.broadcast_to(-powers[..., None], w.shape))
    return UDT(q, after + powers, w, doubts)


def _norm(a, axis):
    """Euclidean norms, without under- or overflow of the squares."""
    largest = jnp.abs(a).max(axis=axis, keepdims=True)
    scaled = a / jnp.where(largest == 0, 1, largest)
    return jnp.squeeze(largest, axis) * jnp.sqrt((scaled**2).sum(axis=axis))


def _log2(size):
    """Base-2 logarithm; -inf at 0."""
    return jnp.where(size == 0, -jnp.inf, jnp.log2(jnp.where(size == 0, 1, size)))


def _shifted(values, powers):
    """values * 2^powers, exactly; 0 for powers of -200 and below."""
    powers = jnp.clip(powers, -200, 200)
    return jnp.where(powers == -200, 0, jnp.ldexp(values, powers.astype(jnp.int32)))


def log_sigmas(product: UDT) -> Float[Array, "*batch n"]:
    """Logarithms of the singular values of q diag(2^k) w, descending.

    The rows of diag(2^k) w are made orthogonal by one-sided Jacobi rotations. Each row
    is stored as a unit vector and the logarithm of its length, so that a rotation of
    two rows of lengths 1 and 1e-30 keeps the shorter row and does not underflow. Small
    singular values have the same relative accuracy as large singular values.

    Args:
        product: A `UDT`.

    Returns:
        Values in nats, [*batch, n]; -inf where rank was lost.

    Example:
        >>> eye = jnp.eye(3)
        >>> deep = UDT(eye, jnp.array([-900.0, 0.0, -2000.0]), eye)
        >>> (log_sigmas(deep) / jnp.log(2)).round(2).tolist()
        [0.0, -900.0, -2000.0]

    References:
        Demmel and Veselic 1992, Jacobi's method is more accurate than QR, SIAM Journal
        on Matrix Analysis and Applications 13(4).
        Brent and Luk 1985, The solution of singular-value and symmetric eigenvalue
        problems on multiprocessor arrays (the order of rotations).
    """
    size = product.w.shape[-1]
    eye = jnp.broadcast_to(jnp.eye(size, dtype=product.w.dtype), product.w.shape)
    # D W and W^T D have the same singular values. In graded form the rows of W^T D are
    # closer to orthogonal, which halves the number of rotations.
    turned = UDT(eye, product.k, eye)
    product = times(jnp.swapaxes(product.w, -1, -2), turned)
    # Small numbers have smaller rounding errors, so the largest power is added last.
    largest = _largest(product.k)
    rows, logs = _unit(product.w, (product.k - largest) * math.log(2))
    if size % 2:  # add a row of zeros, so that each row has a partner
        rows = jnp.concatenate([rows, jnp.zeros_like(rows[..., :1, :])], axis=-2)
        nothing = jnp.full_like(logs[..., :1], -jnp.inf)
        logs = jnp.concatenate([logs, nothing], axis=-1)
    enough = size * jnp.finfo(rows.dtype).eps

    def meet(pairs, _):
        """Rotate all pairs of rows, and form the next pairs."""
        upper, lower, above, below = _rotate(*pairs)
        return (*_next(upper, lower, -2), *_next(above, below, -1)), None

    def sweep(carry):
        rows, logs, unfinished, count = carry
        pairs = (*jnp.split(rows, 2, axis=-2), *jnp.split(logs, 2, axis=-1))
        pairs, _ = jax.lax.scan(meet, pairs, length=logs.shape[-1] - 1)
        # Finished matrices do not change while the rest of the batch is unfinished.
        turned = jnp.concatenate(pairs[:2], axis=-2)
        rows = jnp.where(unfinished[..., None, None], turned, rows)
        lengths = jnp.concatenate(pairs[2:], axis=-1)
        logs = jnp.where(unfinished[..., None], lengths, logs)
        return rows, logs, _largest_cosine(rows, logs) > enough, count + 1

    def proceed(carry):
        return carry[2].any() & (carry[3] < SWEEPS)

    # A matrix with nan takes one sweep, which spreads nan to all of its rows.
    start = rows, logs, ~(_largest_cosine(rows, logs) <= enough), 0
    _, logs, _, _ = jax.lax.while_loop(proceed, sweep, start)
    return largest * math.log(2) - jnp.sort(-logs, axis=-1)[..., :size]


def log_norm(product: UDT) -> Float[Array, "*batch 1"]:
    """Logarithm of the largest singular value, at a fraction of the cost of all.

    Args:
        product: A `UDT`.

    Returns:
        Value in nats, [*batch, 1]; -inf if all rank was lost.

    Example:
        >>> eye = jnp.eye(2)
        >>> deep = UDT(eye, jnp.array([-900.0, -901.0]), eye)
        >>> (log_norm(deep) / jnp.log(2)).tolist()
        [-900.0]
    """
    largest = _largest(product.k)
    powers = jnp.broadcast_to((product.k - largest)[..., None], product.w.shape)
    rows = _shifted(product.w, powers)
    size = jnp.linalg.svd(rows, compute_uv=False)[..., :1]
    log = jnp.where(size == 0, -jnp.inf, jnp.log(jnp.where(size == 0, 1, size)))
    return largest * math.log(2) + log


def _largest(k):
    """Largest power; 0 if all rank is lost."""
    largest = k.max(axis=-1, keepdims=True)
    return jnp.where(jnp.isneginf(largest), 0, largest)


def _unit(rows, logs):
    """Rows scaled to length 1, and the logarithms of their lengths."""
    length = jnp.linalg.norm(rows, axis=-1)
    nothing = length == 0
    length = jnp.where(nothing, 1, length)
    logs = jnp.where(nothing, -jnp.inf, logs + jnp.log(length))
    return rows / length[..., None], logs


def _largest_cosine(rows, logs):
    """Largest cosine between two of the unit rows, without rows of length 0."""
    cosines = jnp.abs(jnp.matmul(rows, jnp.swapaxes(rows, -1, -2), precision=HIGHEST))
    none = jnp.isneginf(logs)
    same = jnp.broadcast_to(jnp.eye(logs.shape[-1], dtype=bool), cosines.shape)
    none = none[..., None] | none[..., None, :] | same
    return jnp.where(none, 0.0, cosines).max(axis=(-2, -1))


def _rotate(upper, lower, above, below):
    """Make upper[i] and lower[i] orthogonal for all i; `above` and `below` are logs.

    With lengths a >= b of unit rows u, v at cosine c, r = b/a, the angle has

        tan(theta) = 2 r c / (1 - r^2 + sqrt((1 - r^2)^2 + 4 r^2 c^2))
    """
    shorter = jnp.minimum(above, below)
    gone = jnp.isneginf(shorter)
    fall = jnp.where(gone, 0.0, shorter - jnp.maximum(above, below))
    r = jnp.where(gone, 0.0, jnp.exp(fall))
    c = jnp.where(gone, 0.0, (upper * lower).sum(axis=-1))
    root = 1 - r**2 + jnp.sqrt((1 - r**2) ** 2 + 4 * (r * c) ** 2)
    slope = 2 * c / jnp.where(root == 0, 1, root)  # tan(theta) / r
    cosine = 1 / jnp.sqrt(1 + (r * slope) ** 2)
    # The longer row is added to the shorter row with -slope, and the shorter row to the
    # longer row with r^2 slope. Both rows keep their positions; otherwise some pairs
    # would never meet.
    swap = below > above
    of_lower = jnp.where(swap, -slope, r**2 * slope)
    of_upper = jnp.where(swap, r**2 * slope, -slope)
    turned = cosine[..., None] * (upper + of_lower[..., None] * lower)
    lower = cosine[..., None] * (lower + of_upper[..., None] * upper)
    upper, above = _unit(turned, above)
    lower, below = _unit(lower, below)
    return upper, lower, above, below


def _next(upper, lower, axis):
    """Pairs of the next round, in which the first row stays and all others move on.

    After 2 half - 1 rounds of this round-robin order, each pair of rows has met once.
    """
    half = upper.shape[axis]
    if half == 1:
        return upper, lower

    def part(rows, start, stop):
        return jax.lax.slice_in_dim(rows, start, stop, axis=rows.ndim + axis)

    ahead = part(upper, 0, 1), part(lower, 0, 1), part(upper, 1, half - 1)
    behind = part(lower, 1, half), part(upper, half - 1, half)
    return jnp.concatenate(ahead, axis), jnp.concatenate(behind, axis)
