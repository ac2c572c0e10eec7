"""Usable information: bits of a label that a linear reader finds in a state."""

import math
import operator
from typing import NamedTuple, SupportsIndex

import jax
import jax.core
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, ArrayLike, Bool, Float, PyTree, Shaped

from nets.probes.folds import ROUNDING, examples_of, folds_of, labels_of, standardized

_STEPS = 2000  # largest number of steps; a tenth suffices if the ridge is not tiny
_TOLERANCE = 3e-3  # of the gradient, times ridge: bits are then accurate to 3 digits


def usable_information(
    states: PyTree[Shaped[Array, "..."]],
    labels: ArrayLike,
    classes: SupportsIndex,
    *,
    folds: SupportsIndex = 5,
    ridge: float = 1e-2,
) -> Float[Array, ""]:
    """Held-out information about a label that a linear reader finds in a state.

        I(label; state) >= H(label) - mean [-log2 p(label | z)]

    The mean is over all examples. p of an example is predicted by the multinomial
    logistic regression that is fitted to the remaining folds:

        p(k | z) = softmax(W z + b)_k
        W, b = argmin mean_train [-ln p(label | z)] + ridge / 2 |W|^2

    Here z is the state, each entry standardized to mean 0 and variance 1 in training. H
    is the entropy of the shares of the labels. The bound holds for any p; a nonlinear
    reader may find more information. The bound is more informative than accuracy: a
    correct but uncertain prediction has fewer bits, and a confident wrong prediction
    has negative bits.

    Args:
        states: As in `linear_probe_r2`.
        labels: Integers from 0 to classes - 1, [examples].
        classes: Number of classes.
        folds: As in `linear_probe_r2`: shuffle examples that are sorted by label.
        ridge: Penalty, above 0, independent of the scale of the states. Without a
            penalty, separable labels would have no optimal W. Scikit-learn's C is
            1 / (ridge n_train).

    Returns:
        Information in bits: at most H, and so at most log2(classes); about 0 if the
        state does not predict the label; negative if predictions that are learned in
        training mislead; nan if a state is nan.

    Raises:
        ValueError: As in `linear_probe_accuracy`, or the ridge is not above 0.

    Example:
        >>> labels = jnp.arange(64) % 4
        >>> states = jax.nn.one_hot(labels, 4)
        >>> usable_information(states, labels, 4, ridge=1e-3).round(1).item()
        2.0

    References:
        Barber and Agakov 2003, The IM algorithm: a variational approach to information
        maximization, NeurIPS.
        Pimentel et al. 2020, Information-theoretic probing for linguistic structure,
        https://arxiv.org/abs/2004.03061
        Xu et al. 2020, A theory of usable information under computational constraints,
        https://arxiv.org/abs/2002.10689
    """
    labels = labels_of(labels, classes)
    features = examples_of(states)
    wanted = jax.nn.one_hot(labels, operator.index(classes), dtype=features.dtype)
    if ridge <= 0:
        raise ValueError(f"expected a ridge above 0; got {ridge}")
    fold = folds_of(features, wanted, folds, ridge)

    def add_fold(losses, k):
        train = fold != k
        z = standardized(features, train[:, None], train.sum())
        log_p = jax.nn.log_softmax(_fit(z, wanted, train, ridge).logits(z))
        return jnp.where(train, losses, -(wanted * log_p).sum(axis=-1)), None

    with jax.default_matmul_precision("highest"):
        losses, _ = jax.lax.scan(
            add_fold, jnp.zeros_like(features[:, 0]), jnp.arange(folds)
        )
    shares = wanted.mean(axis=0)
    return (jax.scipy.special.entr(shares).sum() - losses.mean()) / math.log(2)


class _Reader(NamedTuple):
    """Parameters W and b of a logistic regression."""

    w: Float[Array, "n classes"]
    b: Float[Array, " classes"]

    def logits(self, z: Float[Array, "examples n"]) -> Float[Array, "examples classes"]:
        return z @ self.w + self.b[None]


def _fit(
    z: Float[Array, "examples n"],
    wanted: Float[Array, "examples classes"],
    train: Bool[Array, " examples"],
    ridge: float,
) -> _Reader:
    """Logistic regression of the examples in training.

    Newton's method, with half the covariance of z in place of the curvature. This is an
    upper bound of the curvature (Böhning 1992), so that no step is too long. It is the
    same in all steps, so that it is factorized once. Nesterov's momentum is restarted
    if it points uphill (O'Donoghue and Candès 2015).
    """
    z = jnp.where(train[:, None], z, 0)
    count = train.sum().astype(z.dtype)
    curvature = z.T @ z / (2 * count) + ridge * jnp.eye(z.shape[1], dtype=z.dtype)
    # Rounding errors of the inverse cost steps, but do not change the optimum.
    inverse = cho_solve(cho_factor(curvature), jnp.eye(len(curvature), dtype=z.dtype))

    def gradient(reader):
        error = jax.nn.softmax(reader.logits(z)) - wanted
        error = jnp.where(train[:, None], error, 0) / count
        return _Reader(z.T @ error + ridge * reader.w, error.sum(axis=0))

    def step(carry):
        reader, ahead, momentum, taken, _ = carry
        slope = gradient(ahead)
        # z has mean 0, so that b is independent of W; its curvature is at most 1/2.
        new = _Reader(ahead.w - inverse @ slope.w, ahead.b - 2 * slope.b)
        move = jax.tree.map(jnp.subtract, new, reader)
        uphill = (slope.w * move.w).sum() + (slope.b * move.b).sum() > 0
        momentum = jnp.where(uphill, 0, momentum + 1)
        push = momentum / (momentum + 3)
        ahead = jax.tree.map(lambda n, m: n + push * m, new, move)
        steep = jnp.maximum(jnp.abs(slope.w).max(initial=0), jnp.abs(slope.b).max())
        return new, ahead, momentum, taken + 1, steep

    def proceed(carry):
        *_, taken, steep = carry
        return (taken < _STEPS) & (steep > tolerance)

    tolerance = max(_TOLERANCE * ridge, ROUNDING * float(jnp.finfo(z.dtype).eps))
    zero = _Reader(
        jnp.zeros((z.shape[1], wanted.shape[1]), z.dtype),
        jnp.zeros(wanted.shape[1], z.dtype),
    )
    start = zero, zero, jnp.zeros((), z.dtype), 0, jnp.full((), jnp.inf, z.dtype)
    return jax.lax.while_loop(proceed, step, start)[0]
