"""The temporal order problem: in which order did two symbols appear, long ago?"""

from __future__ import annotations  # help() prints them as they are written

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

INPUTS = 8  # E, B, a, b, c, d, X, Y
OUTPUTS = 4  # XX, XY, YX, YY
BASELINE = math.log(OUTPUTS)  # cross-entropy of the uniform distribution
LENGTH = 110  # of the longest sequences in the paper
START, END, FILLER, FILLERS, ORDERED = 0, 1, 2, 4, 6  # places of the symbols


class Example(NamedTuple):
    """A sequence, its class, and its number of steps; padding is zero."""

    sequence: Float[Array, "time 8"]
    target: Int[Array, ""]
    length: Int[Array, ""]


def example(key: Key[Array, ""], length: int = LENGTH) -> Example:
    """Draw one example of task 6a.

    A sequence begins with E and ends with B. All other symbols are random ones of a, b,
    c, d, except for two: each is X or Y, the first at a step from 10 to 20, the second
    at a step from 50 to 60. The class is their order: XX, XY, YX or YY. The number of
    steps is from 100 to 110.

    Args:
        key: A key of `jax.random.key`.
        length: Steps of the longest sequence, a multiple of 11. All other numbers of
            steps change in proportion.

    Returns:
        The sequence, one-hot in the order E, B, a, b, c, d, X, Y; its class, from 0 to
        3; and its number of steps. Steps after its end are zero.

    Raises:
        ValueError: `length` is not a positive multiple of 11.

    Example:
        >>> xs, label, steps = example(jax.random.key(0))
        >>> xs.shape, bool(xs[0, 0] == xs[steps - 1, 1] == 1), xs[steps:].sum().item()
        ((110, 8), True, 0.0)

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory, section 5.6,
        https://doi.org/10.1162/neco.1997.9.8.1735
    """
    if length < 11 or length % 11:
        raise ValueError(f"expected a length that is a multiple of 11; got {length}")
    unit = length // 11
    key_symbols, key_steps, key_fillers = jax.random.split(key, 3)
    first, second = jax.random.randint(key_symbols, (2,), 0, 2)
    lowest = jnp.array([unit, 5 * unit, 10 * unit])
    early, late, steps = jax.random.randint(key_steps, (3,), lowest, lowest + unit + 1)
    symbols = jax.random.randint(key_fillers, (length,), FILLER, FILLER + FILLERS)
    symbols = symbols.at[early].set(ORDERED + first).at[late].set(ORDERED + second)
    symbols = symbols.at[0].set(START).at[steps - 1].set(END)
    symbols = jnp.where(jnp.arange(length) < steps, symbols, -1)  # all zeros
    return Example(jax.nn.one_hot(symbols, INPUTS), 2 * first + second, steps)
