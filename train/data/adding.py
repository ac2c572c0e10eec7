"""The adding problem: remember two numbers of a long sequence."""

from __future__ import annotations  # help() prints them as they are written

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

INPUTS, OUTPUTS = 2, 1
BASELINE = 1 / 6  # mean squared error of always predicting 1: variance of the sum


class Adding(NamedTuple):
    """Sequences, and the sum to predict at the end of each."""

    sequences: Float[np.ndarray, "examples time 2"]
    targets: Float[np.ndarray, " examples"]


class Example(NamedTuple):
    """A sequence, and the sum to predict at its end."""

    sequence: Float[Array, "time 2"]
    target: Float[Array, ""]


def example(key: Key[Array, ""], length: int) -> Example:
    """Draw one example of the adding problem.

    Each step has a number from U(0, 1) and a mark. The mark is 1 at one step of the
    first half and at one step of the second half, and 0 elsewhere. The target is the
    sum of the two marked numbers. Always predicting 1 gives a mean squared error of
    1/6.

    Args:
        key: A key of `jax.random.key`.
        length: Steps of the sequence, at least 2. If it is odd, the second half has one
            step more.

    Returns:
        The sequence, numbers first and marks second, and the target.

    Raises:
        ValueError: `length` is too small.

    Example:
        >>> xs, target = example(jax.random.key(0), length=20)
        >>> xs.shape, bool(jnp.allclose(xs[:, 0] @ xs[:, 1], target))
        ((20, 2), True)

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation,
        https://doi.org/10.1162/neco.1997.9.8.1735
        Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of
        rectified linear units, https://arxiv.org/abs/1504.00941 (this form).
    """
    _check(length)
    key_numbers, key_marks = jax.random.split(key)
    numbers = jax.random.uniform(key_numbers, (length,))
    ends = jnp.array([0, length // 2, length])
    marked = jax.random.randint(key_marks, (2,), ends[:-1], ends[1:])
    marks = jnp.zeros(length).at[marked].set(1)
    return Example(jnp.stack([numbers, marks], axis=-1), numbers[marked].sum())


def load(seed: int, examples: int, length: int) -> Adding:
    """Generate examples of the adding problem as NumPy arrays, in float32.

    They follow the distribution of `example`, with other random numbers.

    Args:
        seed: Seed of the random numbers.
        examples: Number of examples, at least 1.
        length: Steps per sequence, at least 2. If it is odd, the second half has one
            step more.

    Returns:
        The sequences, numbers first and marks second, and the targets.

    Raises:
        ValueError: `examples` or `length` is too small.

    Example:
        >>> xs, targets = load(seed=0, examples=5, length=20)
        >>> xs.shape, targets.shape
        ((5, 20, 2), (5,))
        >>> bool(np.allclose((xs[..., 0] * xs[..., 1]).sum(axis=1), targets))
        True
    """
    if examples < 1:
        raise ValueError(f"expected at least 1 example; got {examples}")
    _check(length)
    rng = np.random.default_rng(seed)
    numbers = rng.random((examples, length), np.float32)
    marked = rng.integers([0, length // 2], [length // 2, length], (examples, 2))
    marks = np.zeros_like(numbers)
    np.put_along_axis(marks, marked, 1, axis=1)
    targets = np.take_along_axis(numbers, marked, axis=1).sum(axis=1)
    return Adding(np.stack([numbers, marks], axis=-1), targets)


def _check(length: int) -> None:
    """Raise a ValueError if a half has no step."""
    if length < 2:
        raise ValueError(
            f"expected a length of at least 2, one step per half; got {length}"
        )
