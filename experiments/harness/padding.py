"""Sequences of unequal length: padded inputs, and medians aligned at their ends.

Inputs of a sequence model are an array [examples, time, features], or a `Padded` if
lengths differ. A model is called with `*arguments(inputs)`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Padded(NamedTuple):
    """Sequences with padding at their ends.

    Attributes:
        xs: Sequences, [examples, time, features]; padding is zero.
        lengths: Number of steps of each sequence, [examples].
    """

    xs: Array
    lengths: Array


Inputs = Array | Padded


def arguments(inputs: Any) -> tuple[Any, ...]:
    """The arguments of a model: the inputs, and their lengths if these differ.

    Example:
        >>> len(arguments(np.zeros((2, 3, 1))))
        1
        >>> len(arguments(Padded(np.zeros((2, 3, 1)), np.array([3, 1]))))
        2
    """
    return inputs if isinstance(inputs, tuple) else (inputs,)


def unpadded(inputs: Inputs) -> tuple[Array, Array | None]:
    """The sequences, and their lengths; None if all are equal."""
    return inputs if isinstance(inputs, Padded) else (inputs, None)


def first(tree: Any, count: int) -> Any:
    """The first examples of every array in a tree.

    Example:
        >>> first((np.arange(5), np.arange(5)), 2)
        (array([0, 1]), array([0, 1]))
    """
    return jax.tree.map(lambda leaf: leaf[:count], tree)


def trimmed(inputs: Inputs) -> Inputs:
    """The inputs without steps that are padding in every sequence.

    Args:
        inputs: Inputs with concrete lengths.

    Returns:
        The inputs; at least one sequence has all steps.

    Example:
        >>> trimmed(Padded(np.zeros((2, 9, 1)), np.array([3, 1]))).xs.shape
        (2, 3, 1)
    """
    if not isinstance(inputs, Padded):
        return inputs
    return inputs._replace(xs=inputs.xs[:, : int(np.asarray(inputs.lengths).max())])


def median_from_end(
    values: Float[Array, "time examples"],
    lengths: Int[Array, " examples"],
    reverse: bool = False,
) -> Float[Array, " time"]:
    """Median course of log norms, with the last steps of all sequences in one place.

        m_T = median of v_T,   m_t = m_{t+1} + median of (v_t - v_{t+1})

    Medians are over the sequences that have the steps. Differences are taken within a
    sequence, so that the course does not jump where shorter sequences begin.

    Args:
        values: A number for each step of each sequence, by position.
        lengths: Number of steps of each sequence; at least one sequence has all.
        reverse: Whether the sequences are read from their last step to the first.

    Returns:
        The course, in the order of reading: the step that is read last is last. -inf
        where no difference is known, as all gradients are zero.

    Example:
        >>> values = jnp.array([[1.0, 5.0], [2.0, 0.0], [3.0, 0.0]])
        >>> median_from_end(values, jnp.array([3, 1])).tolist()
        [2.0, 3.0, 4.0]
    """
    time, lengths = len(values), lengths[None]
    ahead = jnp.arange(time - 1, -1, -1)[:, None]  # steps that are read later
    place = jnp.broadcast_to(ahead if reverse else lengths - 1 - ahead, values.shape)
    aligned = jnp.take_along_axis(values, jnp.clip(place, 0, time - 1), axis=0)
    aligned = jnp.where(ahead < lengths, aligned, jnp.nan)
    back = jnp.nanmedian(aligned[:-1] - aligned[1:], axis=1)
    lost = jnp.append(jnp.cumsum(back[::-1])[::-1], 0.0)
    course = jnp.nanmedian(aligned[-1]) + lost
    return jnp.where(jnp.isnan(course), -jnp.inf, course)
