"""Texts: what a file becomes, and which files are refused."""

from pydoc_data import topics

import numpy as np
import pytest

from train import DataError
from train.data import text


def test_a_file_is_its_characters(tmp_path):
    written = "Größe ≥ 3\nzwei 𝄞𝄞\r\nEnde"
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbf" + written.encode())
    loaded = text.load(path)
    assert loaded.tokens.dtype == np.int32
    assert "".join(loaded.vocabulary[t] for t in loaded.tokens) == written.replace(
        "\r\n", "\n"
    )
    assert loaded.vocabulary == "".join(sorted(set(written) - {"\r"}))
    assert text.load(str(path)).vocabulary == loaded.vocabulary


def test_without_a_file_it_is_the_documentation_of_python():
    loaded = text.load()
    whole = text.decode(loaded.tokens, loaded.vocabulary)
    paragraphs = whole.split("\n\n")
    assert len(paragraphs) == len(set(paragraphs)) > 1000
    written = "\n".join(topics.topics.values())
    assert all(paragraph in written for paragraph in paragraphs)
    assert 0.5 * len(written) < len(whole) < 0.8 * len(written)
    assert set(loaded.tokens.tolist()) == set(range(len(loaded.vocabulary)))


def test_repeated_paragraphs_are_left_out(monkeypatch):
    long = "It is a long paragraph, of more than forty characters."
    again = f"See here:\n   it is a LONG\n   {long[13:]}"
    paragraphs = ["  One.", long, again, " one.", "Two."]
    monkeypatch.setattr(topics, "topics", {"a": "\n\n".join(paragraphs), "b": long})
    text.documentation.cache_clear()
    try:
        assert text.documentation() == f"  One.\n\n{long}\n\nTwo."
    finally:
        text.documentation.cache_clear()


def test_held_out_text_is_not_in_the_training_set():
    loaded = text.load()
    train, test = (
        text.decode(half, loaded.vocabulary) for half in text.split(loaded.tokens)
    )
    assert not windows(train, 64) & windows(test, 64)


def windows(written, width):
    return {written[i : i + width] for i in range(len(written) - width + 1)}


def test_a_file_is_not_changed(tmp_path):
    written = "\n\n".join(["the same paragraph, again and again and again"] * 3)
    path = tmp_path / "text"
    path.write_text(written)
    loaded = text.load(path)
    assert text.decode(loaded.tokens, loaded.vocabulary) == written


@pytest.mark.parametrize(
    "vocabulary", ["ab", "\n !az", "aß≥𝄞", "".join(map(chr, range(300)))]
)
def test_decode_inverts_encode(vocabulary):
    tokens = np.random.default_rng(0).integers(0, len(vocabulary), 200)
    written = text.decode(tokens, vocabulary)
    np.testing.assert_array_equal(text.encode(written, vocabulary), tokens)


def test_unknown_characters_are_refused():
    with pytest.raises(ValueError, match="only characters of the vocabulary; got 'xé'"):
        text.encode("baéxx", "ab")


@pytest.mark.parametrize(("count", "train"), [(10, 9), (11, 9), (1_115_394, 1_003_854)])
def test_the_last_tenth_is_held_out(count, train):
    whole = np.arange(count)
    first, last = text.split(whole)
    assert len(first) == train
    np.testing.assert_array_equal(np.concatenate([first, last]), whole)


MISTAKES = [
    (None, "the file does not exist; name a text file in UTF-8"),
    ("folder", "expected a file; got a folder; name a text file"),
    (b"", "at least 2 distinct characters; got 0"),
    (b"aaaa", "at least 2 distinct characters; got 1"),
    (b"caf\xe9 noir", "in UTF-8; got the byte 233 at position 3; save the file as"),
    (b"\xff\xfea\x00b\x00", "got the byte 255 at position 0"),
]


@pytest.mark.parametrize(("content", "sentence"), MISTAKES)
def test_files_without_text_are_refused(content, sentence, tmp_path):
    path = tmp_path / "text"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        text.load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and sentence in message
    assert "\n" not in message
