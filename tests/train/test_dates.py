"""Dates: as they are written, what they mean, and which are held out."""

import datetime
import unicodedata

import numpy as np
import pytest

from train import DataError
from train.data import date_formats, dates
from train.data.date_formats import FORMATS, parts, written

# By hand, in the order of FORMATS.
EXPECTED = [
    "February 1, 2032",
    "1 February 2032",
    "Feb 1, 2032",
    "1 Feb 2032",
    "the 1st of February 2032",
    "Sunday, 1 February 2032",
    "Sun, Feb 1, 2032",
    "1. Februar 2032",
    "Sonntag, 1. Februar 2032",
    "1er février 2032",
    "dimanche 1er février 2032",
    "1 de febrero de 2032",
    "domingo 1 feb 2032",
    "1 febbraio 2032",
    "domenica 1 febbraio 2032",
    "1 de fevereiro de 2032",
    "2032년 2월 1일",
    "2032년 2월 1일 일요일",
    "2032年2月1日(日)",
    "2032年2月1日 星期日",
    "二〇三二年二月一日",
    "2032-2-1",
    "2032/02/01",
    "2032. 2. 1.",
    "01.02.2032",
    "02/01/2032",
]
ENGLISH = {  # formats that Python reads too
    0: "%B %d, %Y",
    1: "%d %B %Y",
    2: "%b %d, %Y",
    3: "%d %b %Y",
    5: "%A, %d %B %Y",
    6: "%a, %b %d, %Y",
    21: "%Y-%m-%d",
    22: "%Y/%m/%d",
    23: "%Y. %m. %d.",
    24: "%d.%m.%Y",
    25: "%m/%d/%Y",
}


@pytest.fixture(scope="module")
def train():
    return dates.load(seed=0, examples=5000)


@pytest.fixture(scope="module")
def held_out():
    return dates.load(seed=0, examples=2600, held_out=True)


def test_a_day_in_every_format():
    day = datetime.date(2032, 2, 1)
    assert [written(day, form) for form in FORMATS] == EXPECTED


def test_every_month_and_weekday_has_a_name():
    for names in date_formats.MONTHS.values():
        assert len(set(names.split())) == 12
    for names in date_formats.WEEKDAYS.values():
        assert len(set(names.split())) == 7


def test_no_text_means_two_days():
    first = datetime.date(1901, 1, 1)  # with 2020 among its digits turned round
    days = [
        first + datetime.timedelta(n) for n in [*range(730), *range(43_000, 43_730)]
    ]
    seen = {}
    for day in days:
        for form in FORMATS:
            assert seen.setdefault(written(day, form), day) == day


@pytest.mark.slow
def test_targets_are_what_python_reads_in_the_sources(train):
    texts, targets = dates.decode(train.sources), dates.iso(train.targets)
    read = 0
    for text, target, form in zip(texts, targets, train.formats, strict=True):
        if form in ENGLISH:
            day = datetime.datetime.strptime(text, ENGLISH[form]).date()
            assert day.isoformat() == target
            read += 1
    assert read > 1500


def test_every_source_is_its_target_in_its_format(train):
    for text, target, form, length in zip(
        dates.decode(train.sources),
        dates.iso(train.targets),
        train.formats,
        train.lengths,
        strict=True,
    ):
        assert text == written(datetime.date.fromisoformat(target), FORMATS[form])
        assert len(text) == length
    assert (train.sources[:, 0] > 0).all()


def test_days_are_held_out_in_every_format(train, held_out):
    one, other = dates.split()
    assert sorted([*one, *other]) == list(range(dates.DAYS))
    assert not set(dates.iso(train.targets)) & set(dates.iso(held_out.targets))
    first = datetime.date(1900, 1, 1)
    numbers = [
        (datetime.date.fromisoformat(text) - first).days
        for text in dates.iso(held_out.targets)
    ]
    assert set(numbers) <= set(other.tolist())
    assert min(numbers) < 1000 and max(numbers) > dates.DAYS - 1000


def test_formats_are_equally_frequent(train, held_out):
    assert (np.bincount(held_out.formats) == 100).all()
    counts = np.bincount(train.formats, minlength=len(FORMATS))
    # 192 on the mean, whose standard deviation is 13.6
    assert counts.min() > 192 - 5 * 13.6 and counts.max() < 192 + 5 * 13.6


def test_examples_depend_only_on_the_seed():
    first, again, other = (dates.load(seed, 20) for seed in (3, 3, 4))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_parts_gives_the_position_of_each_part():
    day = datetime.date(1987, 10, 23)
    words = {
        "year": {"1987", "一九八七"},
        "day": {"23", "23rd", "二十三"},
    }
    for form in FORMATS:
        text, found = written(day, form), dict(parts(day, form))
        assert {"year", "month", "day"} <= set(found)
        for part, expected in words.items():
            assert text[found[part]] in expected
        taken = [where for where in found.values()]
        assert all(
            a.stop <= b.start or b.stop <= a.start
            for i, a in enumerate(taken)
            for b in taken[:i]
        )
    assert (
        "Donnerstag, 2. März 2000"[
            dict(parts(datetime.date(2000, 3, 2), FORMATS[8]))["weekday"]
        ]
        == "Donnerstag"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("5 mars 2024\n", r"got '\\n' in '5 mars 2024\\n'"),
        ("", "expected dates of 1 to 30 characters; got 0: ''"),
        ("1" * 31, "expected dates of 1 to 30 characters; got 31"),
        ("1" * 1000, r"got 1000: '1{12}\.\.\.1{13}'$"),
        ("MARCHE 5, 2024", "got 'R' in 'MARCHE 5, 2024'"),
    ],
)
def test_encode_refuses_texts_with_a_clear_message(text, sentence):
    with pytest.raises(DataError, match=sentence):
        dates.encode(["5 mars 2024", text])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_decomposed_characters_and_either_case_are_read(form, case):
    day = datetime.date(1987, 1, 23)
    texts = [written(day, each) for each in FORMATS]
    typed = [unicodedata.normalize(form, case(text)) for text in texts]
    sources, lengths = dates.encode(typed)
    assert dates.decode(sources) == texts
    assert lengths.tolist() == [len(text) for text in texts]


def test_encode_keeps_the_case_that_formats_write():
    texts = ["5 mai 2024", "5. Mai 2024", "Mar 5, 2024", "martes 5 mar 2024"]
    assert dates.decode(dates.encode(texts)[0]) == texts
    assert dates.decode(dates.encode(["MAI 5"])[0]) == ["Mai 5"]


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="at least 1 example; got 0"):
        dates.load(0, 0)
