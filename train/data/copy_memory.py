"""The copy memory problem: repeat ten symbols after many blanks."""

from __future__ import annotations  # help() prints them as they are written

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

SYMBOLS = 8
COPIED = 10  # symbols per sequence
INPUTS = SYMBOLS + 2  # blank, the symbols, the delimiter
OUTPUTS = SYMBOLS + 1  # blank, the symbols


class Example(NamedTuple):
    """A sequence, and the label of each of its steps."""

    sequence: Float[Array, "time inputs"]
    target: Int[Array, " time"]


def baseline(length: int) -> float:
    """Cross-entropy of the best prediction without memory, in nats per step.

    It predicts blanks where blanks are due, and the uniform distribution of the 8
    symbols at the last 10 steps.

    Args:
        length: Number of blanks T.

    Returns:
        10 ln 8 / (T + 20).

    Example:
        >>> round(baseline(30), 5), round(baseline(1000), 6)
        (0.41589, 0.020387)
    """
    return COPIED * math.log(SYMBOLS) / (length + 2 * COPIED)


def example(key: Key[Array, ""], length: int) -> Example:
    """Draw one example.

    A sequence has 10 random symbols of 8, then T - 1 blanks, the delimiter, and 10
    blanks: T + 20 steps. The label of a step is blank, until the delimiter was read;
    then the labels are the symbols in their order.

    Args:
        key: A key of `jax.random.key`.
        length: Number of blanks T, at least 1.

    Returns:
        The sequence, one-hot: blank 0, symbols 1 to 8, delimiter 9. And the labels:
        blank 0, symbols 1 to 8.

    Raises:
        ValueError: `length` is too small.

    Example:
        >>> xs, labels = example(jax.random.key(0), length=30)
        >>> xs.shape, labels.shape
        ((50, 10), (50,))
        >>> bool((xs[:10].argmax(axis=1) == labels[-10:]).all())
        True

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory (the idea).
        Arjovsky, Shah and Bengio 2016, Unitary evolution recurrent neural networks,
        https://arxiv.org/abs/1511.06464 (this form).
    """
    if length < 1:
        raise ValueError(f"expected a length of at least 1; got {length}")
    symbols = jax.random.randint(key, (COPIED,), 1, SYMBOLS + 1)
    blanks = jnp.zeros(length + COPIED, symbols.dtype)
    read = jnp.concatenate([symbols, blanks.at[length - 1].set(SYMBOLS + 1)])
    return Example(jax.nn.one_hot(read, INPUTS), jnp.concatenate([blanks, symbols]))
