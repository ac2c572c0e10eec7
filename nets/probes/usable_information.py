"""How many bits of a label a linear reader finds in a state."""

import math
import operator
from typing import NamedTuple, SupportsIndex

import jax
import jax.core
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, ArrayLike, Bool, Float, PyTree, Shaped

from nets.probes.folds import ROUNDING, examples_of, folds_of, labels_of, standardized

_STEPS = 2000  # at most; a tenth will do where the ridge is not tiny
_TOLERANCE = 3e-3  # of the gradient, in ridges: bits are then good to three places


def usable_information(
    states: PyTree[Shaped[Array, "..."]],
    labels: ArrayLike,
    classes: SupportsIndex,
    *,
    folds: SupportsIndex = 5,
    ridge: float = 1e-2,
) -> Float[Array, ""]:
    """How much of a label can be read linearly from a state: held-out bits.

        I(label; state) >= H(label) - mean [-log2 p(label | z)]

    over all examples, where p of an example is said by the multinomial logistic
    regression fitted on the other folds:

        p(k | z) = softmax(W z + b)_k
        W, b = argmin mean_train [-ln p(label | z)] + ridge / 2 |W|^2

    with z the state, each entry of which has mean 0 and variance 1 in training. H is
    the entropy of the labels' shares. That it is a lower bound holds for any p: what
    another than a linear reader would find comes on top. It tells more than accuracy
    does: a reader who is right but unsure has fewer bits, and one who is sure and
    wrong loses some.

    Args:
        states: As in `linear_probe_r2`.
        labels: Integers from 0 to classes - 1, [examples].
        classes: How many there are.
        folds: As in `linear_probe_r2`: shuffle examples that stand in order of labels.
        ridge: The penalty, above 0 and free of scale; without one, labels that can be
            told apart would have no best W. Scikit-learn's C is 1 / (ridge n_train).

    Returns:
        Bits: at most H, and so at most log2(classes); about 0 if nothing can be read;
        negative if what was read in training misleads; nan if a state is.

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

    def miss(missed, k):
        train = fold != k
        z = standardized(features, train[:, None], train.sum())
        log_p = jax.nn.log_softmax(_fit(z, wanted, train, ridge).logits(z))
        return jnp.where(train, missed, -(wanted * log_p).sum(axis=-1)), None

    with jax.default_matmul_precision("highest"):
        missed, _ = jax.lax.scan(
            miss, jnp.zeros_like(features[:, 0]), jnp.arange(folds)
        )
    shares = wanted.mean(axis=0)
    return (jax.scipy.special.entr(shares).sum() - missed.mean()) / math.log(2)


class _Reader(NamedTuple):
    """A logistic regression: W and b."""

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
    """The best reader of the examples in training.

    Newton's method, with half the covariance of z in place of the curvature: that is
    never less (Böhning 1992), and the same in all steps, so that it is factorised once,
    and no step goes too far. With Nesterov's momentum, which starts anew where it leads
    uphill (O'Donoghue and Candès 2015).
    """
    z = jnp.where(train[:, None], z, 0)
    count = train.sum().astype(z.dtype)
    curvature = z.T @ z / (2 * count) + ridge * jnp.eye(z.shape[1], dtype=z.dtype)
    # Rounding in it costs steps, and moves no end.
    inverse = cho_solve(cho_factor(curvature), jnp.eye(len(curvature), dtype=z.dtype))

    def gradient(reader):
        off = jax.nn.softmax(reader.logits(z)) - wanted
        off = jnp.where(train[:, None], off, 0) / count
        return _Reader(z.T @ off + ridge * reader.w, off.sum(axis=0))

    def step(carry):
        reader, ahead, momentum, taken, _ = carry
        slope = gradient(ahead)
        # z has mean 0, so that b stands apart: its curvature is at most 1/2.
        new = _Reader(ahead.w - inverse @ slope.w, ahead.b - 2 * slope.b)
        way = jax.tree.map(jnp.subtract, new, reader)
        uphill = (slope.w * way.w).sum() + (slope.b * way.b).sum() > 0
        momentum = jnp.where(uphill, 0, momentum + 1)
        push = momentum / (momentum + 3)
        ahead = jax.tree.map(lambda n, w: n + push * w, new, way)
        steep = jnp.maximum(jnp.abs(slope.w).max(initial=0), jnp.abs(slope.b).max())
        return new, ahead, momentum, taken + 1, steep

    def goes_on(carry):
        *_, taken, steep = carry
        return (taken < _STEPS) & (steep > enough)

    enough = max(_TOLERANCE * ridge, ROUNDING * float(jnp.finfo(z.dtype).eps))
    zero = _Reader(
        jnp.zeros((z.shape[1], wanted.shape[1]), z.dtype),
        jnp.zeros(wanted.shape[1], z.dtype),
    )
    start = zero, zero, jnp.zeros((), z.dtype), 0, jnp.full((), jnp.inf, z.dtype)
    return jax.lax.while_loop(goes_on, step, start)[0]
