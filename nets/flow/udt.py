"""Products of many matrices, kept as factors whose sizes are powers of two.

A product of a hundred Jacobians has singular values from 1e-1 to 1e-60: too far apart
for one array of float32, or of float64. So it is kept as

    P = Q diag(2^k) W,   Q orthonormal,   W of rows near to 1 in size

(the "UDT" of quantum Monte Carlo), and its singular values are found in this form. The
k are whole numbers, so that over thousands of steps no rounding of theirs adds up.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nets.flow.ranks import HIGHEST, LOST, triangle

SWEEPS = 30  # at most; a handful is what it takes


class UDT(NamedTuple):
    """The product q diag(2^k) w.

    Attributes:
        q: Orthonormal columns, [*batch, n, n].
        k: Whole numbers, [*batch, n]; -inf where rank was lost.
        w: [*batch, n, n].
        doubts: As in `ranks.triangle`, [*batch, n]; None for none.
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
    """J P, given J Q.

    The columns of J Q diag(2^k) are put in descending order of size, so that the
    triangle of their QR decomposition is graded as they are, row by row: 2^-k' R 2^k
    has no entry above 1. Rows of it that are no more than rounding are lost, for good.

    Args:
        moved: J q, [*batch, n, n].
        product: P.
        rows: |J_i|, to which the errors of a row of J q are relative, by default the
            size of that row.
        sizes: The same of each column, if more is known of them.
        most: Number of steps that a row may be in doubt before it is lost.

    Returns:
        The same form of J P.

    Example:
        >>> eye, eighth = jnp.eye(2), 0.125 * jnp.eye(2)
        >>> found = times(eighth, UDT(eye, jnp.zeros(2), eye))
        >>> found.k.tolist(), jnp.abs(found.w).tolist()
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
    # Rows are measured whole, not by R_ii: others in the row may be larger.
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
    """Euclidean norms, of any numbers that the dtype holds."""
    largest = jnp.abs(a).max(axis=axis, keepdims=True)
    scaled = a / jnp.where(largest == 0, 1, largest)
    return jnp.squeeze(largest, axis) * jnp.sqrt((scaled**2).sum(axis=axis))


def _log2(size):
    return jnp.where(size == 0, -jnp.inf, jnp.log2(jnp.where(size == 0, 1, size)))


def _shifted(values, powers):
    """values 2^powers, exactly, but for 0 where that is next to nothing."""
    powers = jnp.clip(powers, -200, 200)
    return jnp.where(powers == -200, 0, jnp.ldexp(values, powers.astype(jnp.int32)))


def log_sigmas(product: UDT) -> Float[Array, "*batch n"]:
    """ln of the singular values of q diag(2^k) w, descending.

    By one-sided Jacobi rotations of the rows of diag(2^k) w. A row is a unit vector
    and the logarithm of its length, so a rotation of two rows of lengths 1 and 1e-30
    neither loses nor underflows the shorter one: small singular values are as accurate,
    relative to themselves, as large ones.

    Args:
        product: A `UDT`.

    Returns:
        [*batch, n]; -inf where rank was lost.

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
    # Those of D W are those of W^T D, which in graded form has rows that are closer to
    # orthogonal: half the rotations are saved.
    turned = UDT(eye, product.k, eye)
    product = times(jnp.swapaxes(product.w, -1, -2), turned)
    # Small numbers are rounded less: the largest is added last.
    largest = _largest(product.k)
    rows, logs = _unit(product.w, (product.k - largest) * math.log(2))
    if size % 2:  # a row of nothing, so that all have a partner
        rows = jnp.concatenate([rows, jnp.zeros_like(rows[..., :1, :])], axis=-2)
        nothing = jnp.full_like(logs[..., :1], -jnp.inf)
        logs = jnp.concatenate([logs, nothing], axis=-1)
    half = rows.shape[-2] // 2
    # The first stays, the others go round: so each meets each once in a sweep.
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
        # What is finished stays as it is, whatever else is in the batch.
        rows, logs, worst = (
            jnp.where(
                active.reshape(*active.shape, *(1,) * (a.ndim - active.ndim)), a, b
            )
            for a, b in zip(after, before, strict=True)
        )
        return rows, logs, worst, count + 1

    def unfinished(worst):
        return worst > enough  # not where it is nan

    def goes_on(carry):
        return unfinished(carry[2]).any() & (carry[3] < SWEEPS)

    start = rows, logs, jnp.ones(logs.shape[:-1], rows.dtype), 0
    _, logs, _, _ = jax.lax.while_loop(goes_on, sweep, start)
    return largest * math.log(2) - jnp.sort(-logs, axis=-1)[..., :size]


def log_norm(product: UDT) -> Float[Array, "*batch 1"]:
    """ln of the largest of the singular values alone, which costs a fraction of all.

    Args:
        product: A `UDT`.

    Returns:
        [*batch, 1]; -inf where nothing is left.

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
    """The largest power, 0 where all is lost."""
    largest = k.max(axis=-1, keepdims=True)
    return jnp.where(jnp.isneginf(largest), 0, largest)


def _unit(rows, logs):
    """Rows of length 1, and the logarithms of what they were."""
    length = jnp.linalg.norm(rows, axis=-1)
    nothing = length == 0
    length = jnp.where(nothing, 1, length)
    logs = jnp.where(nothing, -jnp.inf, logs + jnp.log(length))
    return rows / length[..., None], logs


def _rotate(rows, logs, half):
    """Make row i and row i + half orthogonal, for all i; the largest cosine before.

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
    # Each goes back to its place, or some pairs would never meet.
    upper, lower = jnp.where(swap, second, first), jnp.where(swap, first, second)
    a, b = (
        jnp.where(b > a, shorter_now, longer_now),
        jnp.where(b > a, longer_now, shorter_now),
    )
    rows = jnp.concatenate([upper, lower], axis=-2)
    logs = jnp.concatenate([a, b], axis=-1)
    return (rows, logs), jnp.abs(c).max(axis=-1, initial=0.0)
