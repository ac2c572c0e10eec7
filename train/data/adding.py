"""The adding problem: long sequences of which two numbers are to be remembered."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BASELINE = 1 / 6  # the squared error of predicting 1: the variance of the sum


class Adding(NamedTuple):
    """Sequences, and what is to be said at the end of each."""

    sequences: Float[np.ndarray, "examples time 2"]
    targets: Float[np.ndarray, " examples"]


def load(seed: int, examples: int, length: int) -> Adding:
    """As many examples as wanted, in float32.

    At each step there is a number of U(0, 1), and beside it a mark, which is 1 at one
    step of the first half and at one of the second, and 0 elsewhere. The target is the
    sum of the two marked numbers. Who says 1 to all has a mean squared error of 1/6.

    Args:
        seed: Of the draw.
        examples: At least 1.
        length: Steps of a sequence, at least 2. Of an odd number the second half has
            one more.

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

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation,
        https://doi.org/10.1162/neco.1997.9.8.1735
        Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of
        rectified linear units, https://arxiv.org/abs/1504.00941: in this form.
    """
    if examples < 1:
        raise ValueError(f"expected at least 1 example; got {examples}")
    if length < 2:
        raise ValueError(f"expected a length of at least 2, a half each; got {length}")
    rng = np.random.default_rng(seed)
    numbers = rng.random((examples, length), np.float32)
    marked = rng.integers([0, length // 2], [length // 2, length], (examples, 2))
    marks = np.zeros_like(numbers)
    np.put_along_axis(marks, marked, 1, axis=1)
    targets = np.take_along_axis(numbers, marked, axis=1).sum(axis=1)
    return Adding(np.stack([numbers, marks], axis=-1), targets)
