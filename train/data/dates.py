"""Dates in many formats, and their translations into ISO 8601."""

import datetime
import re
import reprlib
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from train.data.date_formats import FORMATS, written
from train.data.errors import DataError

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
DAYS = (LAST - FIRST).days + 1
HELD_OUT = 5  # one day in five is held out for testing, in every format
LENGTH = 30  # characters of a source, including padding
OUTPUT = "0123456789-"  # characters of the targets, by token
OUTPUT_LENGTH = len("2024-03-05")


class Dates(NamedTuple):
    """Dates in many formats, and in ISO 8601.

    Attributes:
        sources: Tokens of the written dates, see `encode`; zeros are padding.
        lengths: Number of characters of each source.
        targets: Tokens of "2024-03-05", indices into `OUTPUT`.
        formats: Format of each source, an index into `FORMATS`.
    """

    sources: Int[np.ndarray, "examples length"]
    lengths: Int[np.ndarray, " examples"]
    targets: Int[np.ndarray, "examples 10"]
    formats: Int[np.ndarray, " examples"]


# All characters and words of all formats: 2024 has every digit and every name.
_DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(n) for n in range(366)]
_SHOWN = " ".join(written(day, form) for form in FORMATS for day in _DAYS)
CHARACTERS = "".join(sorted(set(_SHOWN)))
VOCABULARY = 1 + len(CHARACTERS)  # token 0 is padding
_NUMBERS = {character: number for number, character in enumerate(CHARACTERS, start=1)}
_LETTERS = re.compile(r"[^\W\d]+")
_WORDS = set(_LETTERS.findall(_SHOWN))
# If two words differ only in case, such as "Mai" and "mai": the capitalized one.
_BY_CASE = {word.casefold(): word for word in sorted(_WORDS, reverse=True)}


def load(seed: int, examples: int, held_out: bool = False) -> Dates:
    """Generate dates of the years 1900 to 2099.

    Day and format are drawn uniformly and independently. One day in five is held out:
    it is in no training example, in any format.

    Args:
        seed: Seed of the random numbers. The held-out days do not depend on it.
        examples: Number of examples, at least 1.
        held_out: Whether to draw from the held-out days instead of the training days.
            The formats then take turns, so that all are equally frequent.

    Returns:
        A `Dates`.

    Raises:
        ValueError: `examples` is too small.

    Example:
        >>> dates = load(seed=0, examples=100)
        >>> dates.sources.shape, dates.targets.shape
        ((100, 30), (100, 10))
        >>> decode(dates.sources[:2])
        ['lundi 4 août 2036', '二〇六三年十月三日']
        >>> iso(dates.targets[:2])
        ['2036-08-04', '2063-10-03']
    """
    if examples < 1:
        raise ValueError(f"expected at least 1 example; got {examples}")
    rng = np.random.default_rng(seed)
    days = rng.choice(split()[int(held_out)], examples)
    if held_out:
        formats = np.arange(examples) % len(FORMATS)
    else:
        formats = rng.integers(len(FORMATS), size=examples)
    dates = [FIRST + datetime.timedelta(int(day)) for day in days]
    pairs = zip(dates, formats, strict=True)
    sources, lengths = encode([written(date, FORMATS[form]) for date, form in pairs])
    return Dates(sources, lengths, targets(dates), formats.astype(np.int32))


def split() -> tuple[Int[np.ndarray, " training"], Int[np.ndarray, " held_out"]]:
    """Split the days into training and held-out days, always in the same way.

    Returns:
        `train, held_out`, days since 1 January 1900, unsorted.

    Example:
        >>> train, test = split()
        >>> len(train), len(test)
        (58440, 14609)
    """
    order = np.random.default_rng(0).permutation(DAYS)
    count = DAYS // HELD_OUT
    return order[count:], order[:count]


def encode(
    texts: Sequence[str],
) -> tuple[Int[np.ndarray, "examples length"], Int[np.ndarray, " examples"]]:
    """Encode texts as tokens: positions in `CHARACTERS` from 1, padded with zeros.

    Args:
        texts: Texts of 1 to 30 characters. The case of the words does not matter.

    Returns:
        The tokens, and the number of characters of each text.

    Raises:
        DataError: A text is empty, too long, or has a character that is in no format.

    Example:
        >>> sources, lengths = encode(["5 mars 2024"])
        >>> decode(sources), lengths.tolist()
        (['5 mars 2024'], [11])
        >>> decode(encode(["MARCH 5, 2024"])[0])
        ['March 5, 2024']
    """
    texts = [_as_formats(text) for text in texts]
    for text in texts:
        if not 1 <= len(text) <= LENGTH:
            raise DataError(
                f"expected dates of 1 to {LENGTH} characters; got {len(text)}: "
                f"{reprlib.repr(text)}"
            )
        unknown = [character for character in text if character not in _NUMBERS]
        if unknown:
            raise DataError(
                f"expected dates of the characters {CHARACTERS!r}; got {unknown[0]!r} "
                f"in {reprlib.repr(text)}"
            )
    sources = np.zeros((len(texts), LENGTH), np.int32)
    for row, text in zip(sources, texts, strict=True):
        row[: len(text)] = [_NUMBERS[character] for character in text]
    return sources, np.array([len(text) for text in texts], np.int32)


def _as_formats(text: str) -> str:
    """Compose the characters of a text, and write its words in the formats' case.

    On some systems "ä" is two characters and "월" is three.
    """

    def known_word(match):
        word = match[0]
        return word if word in _WORDS else _BY_CASE.get(word.casefold(), word)

    return _LETTERS.sub(known_word, unicodedata.normalize("NFC", text))


def decode(sources: Int[np.ndarray, "examples length"]) -> list[str]:
    """Decode tokens into texts, without the padding.

    Args:
        sources: Tokens from `encode`.

    Returns:
        The texts.

    Example:
        >>> decode(encode(["2024년 3월 5일"])[0])
        ['2024년 3월 5일']
    """
    return ["".join(CHARACTERS[n - 1] for n in row if n) for row in sources]


def targets(
    dates: Sequence[datetime.date],
) -> Int[np.ndarray, "examples 10"]:
    """Encode days in ISO 8601, as indices into `OUTPUT`.

    Args:
        dates: Days to encode.

    Returns:
        Ten tokens per day.

    Example:
        >>> targets([datetime.date(2024, 3, 5)]).tolist()
        [[2, 0, 2, 4, 10, 0, 3, 10, 0, 5]]
    """
    rows = [[OUTPUT.index(c) for c in date.isoformat()] for date in dates]
    return np.array(rows, np.int32).reshape(-1, OUTPUT_LENGTH)


def iso(targets: Int[np.ndarray, "examples 10"]) -> list[str]:
    """Decode indices into `OUTPUT` as texts.

    Args:
        targets: Tokens from `targets` or from a model.

    Returns:
        The texts.

    Example:
        >>> iso(targets([datetime.date(2024, 3, 5)]))
        ['2024-03-05']
    """
    return ["".join(OUTPUT[n] for n in row) for row in targets]
