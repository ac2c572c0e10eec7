"""A text as a sequence of symbols, its last tenth held out."""

import functools
import os
import re
from pydoc_data import topics
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from train.data.errors import DataError
from train.data.files import expanded, opened

HELD_OUT = 0.1  # the last share of a text
REPEATED = 40  # a paragraph of so many characters that were there before is left out
HINT = "name a text file in UTF-8"


class Text(NamedTuple):
    """A text, character by character.

    Attributes:
        tokens: Of each character its place in the vocabulary, [characters].
        vocabulary: All characters that occur, each once, sorted.
    """

    tokens: Int[np.ndarray, " characters"]
    vocabulary: str


def load(path: str | bytes | os.PathLike | None = None) -> Text:
    """The text in a file, or one that every Python has.

    Without a file it is Python's own documentation, as `documentation` has it. Of a
    file nothing is left out. Whichever way it ends its lines, in the text they end in a
    line feed.

    Args:
        path: A file in UTF-8, with ~ for the home folder; None for the documentation.

    Returns:
        A `Text`.

    Raises:
        DataError: The file cannot be read, is no regular file of at most 4 GiB, is not
            in UTF-8, or has fewer than two different characters.

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
    written = documentation() if path is None else _read(path)
    vocabulary = "".join(sorted(set(written)))
    if len(vocabulary) < 2:
        raise DataError(
            f"{path}: expected a text of at least 2 different characters; got "
            f"{len(vocabulary)}; there is nothing to foretell"
        )
    return Text(encode(written, vocabulary), vocabulary)


@functools.cache
def documentation() -> str:
    """Python's own documentation, each paragraph once.

    It is `pydoc_data.topics` of the standard library, which differs a little from one
    Python to the next. Some topics are parts of others: lest what is held out be learnt
    by heart, a paragraph is left out if one before it has the same 40 characters in a
    row, spaces not counted and case ignored; a shorter one, if one before it is the
    same. A third of the text goes.

    Returns:
        The paragraphs in their order, an empty line between them.

    Example:
        >>> len(documentation()) < len("".join(topics.topics.values()))
        True
    """
    paragraphs = re.split(r"\n\s*\n", "\n\n".join(topics.topics.values()))
    seen, kept = set(), []
    for paragraph in paragraphs:
        bare = "".join(paragraph.split()).lower()
        count = max(1, len(bare) - REPEATED + 1)
        stretches = {bare[i : i + REPEATED] for i in range(count)}
        if seen.isdisjoint(stretches):
            kept.append(paragraph)
            seen |= stretches
    return "\n\n".join(kept)


def encode(written: str, vocabulary: str) -> Int[np.ndarray, " characters"]:
    """Characters as their places in a vocabulary.

    Args:
        written: Any text.
        vocabulary: Different characters, sorted.

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
            f"expected characters of the text alone; got {''.join(strange)!r}, which "
            "it does not have"
        )
    return np.searchsorted(_codes(vocabulary), _codes(written)).astype(np.int32)


def decode(tokens: Int[np.ndarray, " characters"], vocabulary: str) -> str:
    """The text that `encode` made numbers of.

    Args:
        tokens: Integers below `len(vocabulary)`, [characters].
        vocabulary: Different characters.

    Returns:
        As many characters.

    Example:
        >>> decode(encode("banana", "abn"), "abn")
        'banana'
    """
    return "".join(vocabulary[token] for token in tokens)


def split(
    tokens: Int[np.ndarray, " characters"], held_out: float = HELD_OUT
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """A text in two: the beginning to learn from, the end to judge by.

    Args:
        tokens: The characters, [characters].
        held_out: The share of the end.

    Returns:
        `train, test`; of `train` there are floor((1 - held_out) characters).

    Example:
        >>> train, test = split(np.arange(30))
        >>> len(train), test.tolist()
        (27, [27, 28, 29])
    """
    cut = int(len(tokens) * (1 - held_out))
    return tokens[:cut], tokens[cut:]


def _codes(written: str) -> np.ndarray:
    """The number of every character in Unicode."""
    return np.frombuffer(written.encode("utf-32-le", "surrogatepass"), np.uint32)


def _read(path: str | bytes | os.PathLike) -> str:
    path = expanded(path)
    try:
        with opened(path) as file:
            written = file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; {HINT}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file; got a folder; {HINT}") from None
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read; got {error.strerror}; {HINT}"
        ) from None
    try:
        # A mark of the byte order, which some editors write, is no part of the text.
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8; got the byte {error.object[error.start]} "
            f"at {error.start}, which is none; save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
