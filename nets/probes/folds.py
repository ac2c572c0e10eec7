"""Examples as vectors and in folds, for all linear readers of states."""

import math

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from nets.flow.arguments import integer

ROUNDING = (
    10  # columns that vary by less than ROUNDING * eps of their size are constant
)


def examples_of(states):
    """Tree of states as vectors, [examples, n]."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(states)]
    if not shapes or () in shapes or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            "expected states [examples, ...], of the same examples in all arrays; got "
            f"shapes {[list(shape) for shape in shapes]}"
        )
    return numbers_of(states, shapes[0][0])


def numbers_of(tree, *axes):
    """All numbers of a tree as vectors, [*axes, n], in float32 or wider.

    A complex number counts as two numbers, real and imaginary part.
    """
    leaves = [jnp.asarray(a) for a in jax.tree.leaves(tree)]
    parts = [
        part.reshape(*axes, math.prod(part.shape) // max(math.prod(axes), 1))
        for a in leaves
        for part in ((a.real, a.imag) if jnp.iscomplexobj(a) else (a,))
    ]
    dtype = jnp.result_type(jnp.float32, *parts)
    return jnp.concatenate([part.astype(dtype) for part in parts], axis=-1)


def labels_of(labels, classes) -> Int[Array, " examples"]:
    """The labels as an array; an error if they are not labels of `classes` classes."""
    if (integer(classes) or 0) < 1:
        raise ValueError(f"expected classes of at least 1; got {classes!r}")
    labels = jnp.asarray(labels)
    if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            "expected integer labels of shape [examples]; got "
            f"{labels.dtype}{list(labels.shape)}"
        )
    if not isinstance(labels, jax.core.Tracer) and labels.size:
        known = np.asarray(labels)
        if known.min() < 0 or known.max() >= classes:
            raise ValueError(
                f"expected labels from 0 to {classes - 1}, of {classes} classes; got "
                f"labels from {known.min()} to {known.max()}"
            )
    return labels


def folds_of(states, targets, folds, ridge) -> Int[Array, " examples"]:
    """Fold of each example. Folds are contiguous; the first ones may be larger."""
    count = len(targets)
    if len(states) != count:
        raise ValueError(
            f"expected a target for each of {len(states)} states; got {count}"
        )
    parts = integer(folds)
    if parts is None or not 2 <= parts <= count:
        raise ValueError(
            f"expected folds from 2 to {count}, the number of examples; got {folds!r}"
        )
    if ridge < 0:
        raise ValueError(f"expected a ridge of 0 or above; got {ridge}")
    sizes = [len(part) for part in np.array_split(np.arange(count), parts)]
    return jnp.asarray(np.repeat(np.arange(parts), sizes))


def standardized(states, train, count):
    """States with mean 0 and variance 1 in training; constant columns become 0."""
    # Each column is scaled by its largest entry, so that its square cannot overflow.
    count = count.astype(states.dtype)
    largest = jnp.where(train, jnp.abs(states), 0).max(axis=0, keepdims=True)
    scaled = states / jnp.where(largest == 0, 1, largest)
    mean = jnp.where(train, scaled, 0).sum(axis=0, keepdims=True) / count
    centered = scaled - mean
    squares = jnp.where(train, centered**2, 0).sum(axis=0, keepdims=True)
    deviation = jnp.sqrt(squares / count)
    varies = ~(deviation <= ROUNDING * jnp.finfo(states.dtype).eps)  # true for nan
    return jnp.where(varies, centered / jnp.where(varies, deviation, 1), 0)
