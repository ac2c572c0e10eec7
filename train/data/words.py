"""English words without spaces between them, to be split into words again."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from train.data import text

LETTERS = "abcdefghijklmnopqrstuvwxyz"
HELD_OUT = 0.1  # share of the windows, at the end of the text


class Words(NamedTuple):
    """Windows of letters, and the starts of words in them."""

    letters: Int[np.ndarray, "*examples time"]
    starts: Int[np.ndarray, "*examples time"]


def load(length: int = 64) -> tuple[Words, Words]:
    """Load windows of Python's own documentation, without spaces.

    The text is `train.data.text.documentation`. Its last tenth is held out.

    Args:
        length: Letters per window, from 1 to a tenth of the text.

    Returns:
        `train, test`, two `Words` with arrays [examples, length]: letters from 0 to 25,
        and 1 where a word begins, else 0.

    Raises:
        ValueError: The length is out of range.

    Example:
        >>> train, test = load(length=64)
        >>> train.letters.shape[1], set(np.unique(test.starts).tolist())
        (64, {0, 1})
    """
    words = re.findall("[a-z]+", text.documentation().lower())
    every = of(words)
    count = len(every.letters) // max(length, 1)
    held_out = int(count * HELD_OUT)
    if length < 1 or held_out < 1:
        most = int(len(every.letters) * HELD_OUT)
        raise ValueError(
            f"expected windows of 1 to {most} letters, a tenth of the text; got "
            f"{length}"
        )
    windows = [array[: count * length].reshape(count, length) for array in every]
    cut = count - held_out
    return Words(*(w[:cut] for w in windows)), Words(*(w[cut:] for w in windows))


def of(words: list[str]) -> Words:
    """Join words without spaces.

    Args:
        words: Words of the letters a to z.

    Returns:
        Letters and starts, [time], without an axis of examples.

    Example:
        >>> letters, starts = of(["the", "cat"])
        >>> letters.tolist(), starts.tolist()
        ([19, 7, 4, 2, 0, 19], [1, 0, 0, 1, 0, 0])
    """
    letters = np.frombuffer("".join(words).encode(), np.uint8).astype(np.int32)
    starts = np.zeros(len(letters), np.int32)
    ends = np.cumsum([len(word) for word in words])
    starts[[0, *ends[:-1]]] = 1
    return Words(letters - ord("a"), starts)


def cut(letters: Int[np.ndarray, " time"], starts: Int[np.ndarray, " time"]) -> str:
    """Write letters as text, with a space before every word but the first.

    Args:
        letters: Letters from 0 to 25.
        starts: 1 where a word begins.

    Returns:
        The text.

    Example:
        >>> cut(*of(["the", "cat"]))
        'the cat'
    """
    pieces = (
        " " * bool(start) + LETTERS[letter]
        for letter, start in zip(letters, starts, strict=True)
    )
    return "".join(pieces).strip()
