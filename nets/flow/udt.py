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
    half = rows.shape[-2] // 2
    # Round-robin order: the first row stays and all later rows rotate, so that each
    # pair of rows meets once in a sweep.
    ring = jnp.concatenate([jnp.array([0, half]), jnp.arange(1, half - 1)])
    ring = jnp.concatenate(
        [ring, jnp.arange(half + 1, 2 * half), jnp.array([half - 1])]
    )
    ring = ring if half > 1 else jnp.arange(2)
    enough = size * jnp.finfo(rows.dtype).eps

    def meet(carry, _):
        rows, logs, worst = carry
        (rows, logs), cosine = _rotate(rows, logs, half)
        rows, logs = rows[..., ring, :], logs[..., ring]
        return (rows, logs, jnp.maximum(worst, cosine)), None

    def sweep(carry):
        *before, count = carry
        active = unfinished(before[-1])
        start = *before[:2], jnp.zeros_like(before[-1])
        after, _ = jax.lax.scan(meet, start, length=2 * half - 1)
        # Finished matrices do not change while the rest of the batch is unfinished.
        rows, logs, worst = (
            jnp.where(
                active.reshape(*active.shape, *(1,) * (a.ndim - active.ndim)), a, b
            )
            for a, b in zip(after, before, strict=True)
        )
        return rows, logs, worst, count + 1

    def unfinished(worst):
        return worst > enough  # not where it is nan

    def proceed(carry):
        return unfinished(carry[2]).any() & (carry[3] < SWEEPS)

    start = rows, logs, jnp.ones(logs.shape[:-1], rows.dtype), 0
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


def _rotate(rows, logs, half):
    """Make rows i and i + half orthogonal for all i; return their largest cosine too.

    With lengths a >= b of unit rows u, v at cosine c, r = b/a, the angle has

        tan(theta) = 2 r c / (1 - r^2 + sqrt((1 - r^2)^2 + 4 r^2 c^2))
    """
    a, b = logs[..., :half], logs[..., half:]
    swap = (b > a)[..., None]
    upper, lower = rows[..., :half, :], rows[..., half:, :]
    u, v = jnp.where(swap, lower, upper), jnp.where(swap, upper, lower)
    longer, shorter = jnp.maximum(a, b), jnp.minimum(a, b)
    gone = jnp.isneginf(shorter)
    r = jnp.where(gone, 0.0, jnp.exp(jnp.where(gone, 0.0, shorter - longer)))
    c = jnp.where(gone, 0.0, (u * v).sum(axis=-1))
    below = 1 - r**2 + jnp.sqrt((1 - r**2) ** 2 + 4 * (r * c) ** 2)
    slope = 2 * c / jnp.where(below == 0, 1, below)  # tan(theta) / r
    cosine = 1 / jnp.sqrt(1 + (r * slope) ** 2)
    first = cosine[..., None] * (u + (r**2 * slope)[..., None] * v)
    second = cosine[..., None] * (v - slope[..., None] * u)
    first, longer_now = _unit(first, longer)
    second, shorter_now = _unit(second, shorter)
    # Both rows return to their positions; otherwise some pairs would never meet.
    upper, lower = jnp.where(swap, second, first), jnp.where(swap, first, second)
    a, b = (
        jnp.where(b > a, shorter_now, longer_now),
        jnp.where(b > a, longer_now, shorter_now),
    )
    rows = jnp.concatenate([upper, lower], axis=-2)
    logs = jnp.concatenate([a, b], axis=-1)
    return (rows, logs), jnp.abs(c).max(axis=-1, initial=0.0)
