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
from jaxtyping import Array, Float

SWEEPS = 30  # at most; a handful is what it takes


class Graded(NamedTuple):
    """The product q diag(2^k) w.

    Attributes:
        q: Orthonormal columns, [*batch, n, n].
        k: Whole numbers, [*batch, n]; -inf where rank was lost.
        w: [*batch, n, n].
    """

    q: Float[Array, "*batch n n"]
    k: Float[Array, "*batch n"]
    w: Float[Array, "*batch n n"]


def times(moved: Float[Array, "*batch n n"], product: Graded) -> Graded:
    """J P, given J Q.

    The columns of J Q diag(2^k) are put in descending order of size, so that the
    triangle of their QR decomposition is graded as they are, row by row: 2^-k' R 2^k
    has no entry above 1.

    Args:
        moved: J q, [*batch, n, n].
        product: P.

    Returns:
        The same form of J P.

    Example:
        >>> eye, eighth = jnp.eye(2), 0.125 * jnp.eye(2)
        >>> found = times(eighth, Graded(eye, jnp.zeros(2), eye))
        >>> found.k.tolist(), jnp.abs(found.w).tolist()
        ([-2.0, -2.0], [[0.5, 0.0], [0.0, 0.5]])
    """
    sizes = product.k + jnp.log2(jnp.linalg.norm(moved, axis=-2))
    order = jnp.argsort(-sizes, axis=-1)
    before = jnp.take_along_axis(product.k, order, axis=-1)
    w = jnp.take_along_axis(product.w, order[..., :, None], axis=-2)
    q, upper = jnp.linalg.qr(jnp.take_along_axis(moved, order[..., None, :], axis=-1))
    # Rows are measured whole, not by R_ii, which is 0 where a column depends on those
    # before it, though others after it may not.
    digits, powers = jnp.frexp(upper)
    powers = jnp.where(digits == 0, -jnp.inf, powers + before[..., None, :])
    after = powers.max(axis=-1)
    known = jnp.isfinite(after)
    scaled = _shifted(digits, powers - jnp.where(known, after, 0)[..., None])
    eye = jnp.eye(scaled.shape[-1], dtype=scaled.dtype)
    w = jnp.where(known[..., None], scaled, eye) @ w
    _, powers = jnp.frexp(jnp.abs(w).max(axis=-1))
    w = _shifted(w, jnp.broadcast_to(-powers[..., None].astype(w.dtype), w.shape))
    return Graded(q, after + powers, w)


def _shifted(values, powers):
    """values 2^powers, exactly, but for 0 where that is next to nothing."""
    powers = jnp.clip(powers, -200, 200)
    return jnp.where(powers == -200, 0, jnp.ldexp(values, powers.astype(jnp.int32)))


def log_singular_values(product: Graded) -> Float[Array, "*batch n"]:
    """ln of the singular values of q diag(2^k) w, descending.

    By one-sided Jacobi rotations of the rows of diag(2^k) w. A row is a unit vector
    and the logarithm of its length, so a rotation of two rows of lengths 1 and 1e-30
    neither loses nor underflows the shorter one: small singular values are as accurate,
    relative to themselves, as large ones.

    Args:
        product: A `Graded`.

    Returns:
        [*batch, n]; -inf where rank was lost.

    Example:
        >>> eye = jnp.eye(3)
        >>> deep = Graded(eye, jnp.array([-900.0, 0.0, -2000.0]), eye)
        >>> (log_singular_values(deep) / jnp.log(2)).round(2).tolist()
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
    turned = Graded(eye, product.k, eye)
    product = times(jnp.swapaxes(product.w, -1, -2), turned)
    # Small numbers are rounded less: the largest is added last.
    largest = product.k.max(axis=-1, keepdims=True)
    largest = jnp.where(jnp.isneginf(largest), 0, largest)
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
        rows, logs, _, count = carry
        start = rows, logs, jnp.zeros((), rows.dtype)
        (rows, logs, worst), _ = jax.lax.scan(meet, start, length=2 * half - 1)
        return rows, logs, worst, count + 1

    def unfinished(carry):
        return (carry[2] > enough) & (carry[3] < SWEEPS)

    start = rows, logs, jnp.ones((), rows.dtype), 0
    _, logs, _, _ = jax.lax.while_loop(unfinished, sweep, start)
    return largest * math.log(2) - jnp.sort(-logs, axis=-1)[..., :size]


def _unit(rows, logs):
    """Rows of length 1, and the logarithms of what they were."""
    length = jnp.linalg.norm(rows, axis=-1)
    rows = rows / jnp.where(length == 0, 1, length)[..., None]
    return rows, logs + jnp.log(length)


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
    return (rows, logs), jnp.abs(c).max()
