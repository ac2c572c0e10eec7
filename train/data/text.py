"""A text as a sequence of tokens, with its last tenth held out."""

import functools
import os
import re
from pydoc_data import topics
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from train.data.errors import DataError
from train.data.files import read_text

HELD_OUT = 0.1  # share of the text, at its end
REPEATED = 40  # length in characters of a repeated passage
HINT = "name a text file in UTF-8"


class Text(NamedTuple):
    """A text as tokens, one per character.

    Attributes:
        tokens: Index of each character in the vocabulary, [characters].
        vocabulary: All distinct characters of the text, sorted.
    """

    tokens: Int[np.ndarray, " characters"]
    vocabulary: str


def load(path: str | bytes | os.PathLike | None = None) -> Text:
    """Load a text from a file, or Python's own documentation.

    Line ends become line feeds. Otherwise the text of a file is not changed.

    Args:
        path: File in UTF-8; ~ is the home folder. None for the text of `documentation`.

    Returns:
        A `Text`.

    Raises:
        DataError: The file is unreadable, not a regular file, larger than 4 GiB, not in
            UTF-8, or has fewer than two distinct characters.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "word.txt"
        >>> _ = path.write_text("banana", encoding="utf-8")
        >>> text = load(path)
        >>> text.vocabulary, text.tokens.tolist()
        ('abn', [1, 0, 2, 0, 2, 0])
        >>> len(load().tokens) > 100_000
        True
    """
    written = documentation() if path is None else read_text(path, HINT)
    vocabulary = "".join(sorted(set(written)))
    if len(vocabulary) < 2:
        raise DataError(
            f"{path}: expected a text of at least 2 distinct characters; got "
            f"{len(vocabulary)}; there is nothing to predict"
        )
    return Text(encode(written, vocabulary), vocabulary)


@functools.cache
def documentation() -> str:
    """Python's own documentation, without repeated paragraphs.

    The text is `pydoc_data.topics` of the standard library, which differs slightly
    between versions of Python. Some topics repeat parts of other topics. To avoid
    held-out text that is also in the training set, a paragraph is left out if it shares
    40 consecutive characters with an earlier paragraph, or equals one if it is shorter.
    Spaces and case do not count. This removes a third of the text.

    Returns:
        The paragraphs in order, separated by empty lines.

    Example:
        >>> len(documentation()) < len("".join(topics.topics.values()))
        True
    """
    paragraphs = re.split(r"\n\s*\n", "\n\n".join(topics.topics.values()))
    known, kept = set(), []
    for paragraph in paragraphs:
        bare = "".join(paragraph.split()).lower()
        count = max(1, len(bare) - REPEATED + 1)
        stretches = {bare[i : i + REPEATED] for i in range(count)}
        if known.isdisjoint(stretches):
            kept.append(paragraph)
            known |= stretches
    return "\n\n".join(kept)


def encode(written: str, vocabulary: str) -> Int[np.ndarray, " characters"]:
    """Encode characters as indices into a vocabulary.

    Args:
        written: Text to encode.
        vocabulary: Distinct characters, sorted.

    Returns:
        Integers below `len(vocabulary)`, [characters].

    Raises:
        ValueError: A character is not in the vocabulary.

    Example:
        >>> encode("banana", "abn").tolist()
        [1, 0, 2, 0, 2, 0]
    """
    strange = sorted(set(written) - set(vocabulary))
    if strange:
        raise ValueError(
            f"expected only characters of the vocabulary; got {''.join(strange)!r}, "
            "which it does not contain"
        )
    return np.searchsorted(_codes(vocabulary), _codes(written)).astype(np.int32)


def decode(tokens: Int[np.ndarray, " characters"], vocabulary: str) -> str:
    """Decode tokens into a text, the inverse of `encode`.

    Args:
        tokens: Integers below `len(vocabulary)`, [characters].
        vocabulary: Distinct characters.

    Returns:
        The text, one character per token.

    Example:
        >>> decode(encode("banana", "abn"), "abn")
        'banana'
    """
    return "".join(vocabulary[token] for token in tokens)


def split(
    tokens: Int[np.ndarray, " characters"], held_out: float = HELD_OUT
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Split a text into its beginning, to train on, and its end, to test on.

    Args:
        tokens: Tokens of the text, [characters].
        held_out: Share of the test set.

    Returns:
        `train, test`, where `train` has floor((1 - held_out) characters) tokens.

    Example:
        >>> train, test = split(np.arange(30))
        >>> len(train), test.tolist()
        (27, [27, 28, 29])
    """
    cut = int(len(tokens) * (1 - held_out))
    return tokens[:cut], tokens[cut:]


def _codes(written: str) -> np.ndarray:
    """Unicode code point of every character."""
    return np.frombuffer(written.encode("utf-32-le", "surrogatepass"), np.uint32)
