"""Formats of dates in nine languages: names, patterns, and their fields."""

import datetime
import string
from typing import NamedTuple

# From January to December.
MONTHS = {
    "English": "January February March April May June July August September October "
    "November December",
    "German": "Januar Februar März April Mai Juni Juli August September Oktober "
    "November Dezember",
    "French": "janvier février mars avril mai juin juillet août septembre octobre "
    "novembre décembre",
    "Spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre",
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre "
    "ottobre novembre dicembre",
    "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro "
    "outubro novembro dezembro",
}
# From Monday to Sunday.
WEEKDAYS = {
    "English": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "German": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "French": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "Spanish": "lunes martes miércoles jueves viernes sábado domingo",
    "Italian": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "Korean": "월 화 수 목 금 토 일",
    "Japanese": "月 火 水 木 金 土 日",
    "Chinese": "一 二 三 四 五 六 日",
}
CHINESE = "〇一二三四五六七八九"  # the digits


class Format(NamedTuple):
    """A format of a date.

    Attributes:
        language: Language of the names; "digits" for formats without names.
        pattern: Template of the fields in `fields`.
    """

    language: str
    pattern: str


# The separators determine the order of dates that have only digits: year, month, day if
# the year is first; day, month, year with dots; month, day, year with slashes.
FORMATS = (
    Format("English", "{month} {d}, {y}"),
    Format("English", "{d} {month} {y}"),
    Format("English", "{month:.3} {d}, {y}"),
    Format("English", "{d} {month:.3} {y}"),
    Format("English", "the {ordinal} of {month} {y}"),
    Format("English", "{weekday}, {d} {month} {y}"),
    Format("English", "{weekday:.3}, {month:.3} {d}, {y}"),
    Format("German", "{d}. {month} {y}"),
    Format("German", "{weekday}, {d}. {month} {y}"),
    Format("French", "{d} {month} {y}"),
    Format("French", "{weekday} {d} {month} {y}"),
    Format("Spanish", "{d} de {month} de {y}"),
    Format("Spanish", "{weekday} {d} {month:.3} {y}"),
    Format("Italian", "{d} {month} {y}"),
    Format("Italian", "{weekday} {d} {month} {y}"),
    Format("Portuguese", "{d} de {month} de {y}"),
    Format("Korean", "{y}년 {m}월 {d}일"),
    Format("Korean", "{y}년 {m}월 {d}일 {weekday}요일"),
    Format("Japanese", "{y}年{m}月{d}日({weekday})"),
    Format("Chinese", "{y}年{m}月{d}日 星期{weekday}"),
    Format("Chinese", "{hanzi_y}年{hanzi_m}月{hanzi_d}日"),
    Format("digits", "{y}-{m}-{d}"),
    Format("digits", "{y}/{mm}/{dd}"),
    Format("digits", "{y}. {m}. {d}."),
    Format("digits", "{dd}.{mm}.{y}"),
    Format("digits", "{mm}/{dd}/{y}"),
)

# The part of the date that each field gives.
PART_OF_FIELD = dict.fromkeys(["y", "hanzi_y"], "year")
PART_OF_FIELD |= dict.fromkeys(["m", "mm", "month", "hanzi_m"], "month")
PART_OF_FIELD |= dict.fromkeys(["d", "dd", "ordinal", "hanzi_d"], "day")
PART_OF_FIELD["weekday"] = "weekday"


def fields(date: datetime.date, language: str) -> dict[str, str]:
    """Fields of a date that a pattern may use.

    Args:
        date: A day.
        language: Language of the names.

    Returns:
        Year `y`, month `m` and day `d`; `mm` and `dd` with a leading zero; and the
        names that exist in the language: `month`, `weekday`, the day as an `ordinal`,
        and `hanzi_y`, `hanzi_m`, `hanzi_d`.

    Example:
        >>> fields(datetime.date(2024, 3, 5), "German")["weekday"]
        'Dienstag'
    """
    y, m, d = date.year, date.month, date.day
    values = {"y": f"{y}", "m": f"{m}", "d": f"{d}", "mm": f"{m:02}", "dd": f"{d:02}"}
    if language in MONTHS:
        values["month"] = MONTHS[language].split()[m - 1]
    if language in WEEKDAYS:
        values["weekday"] = WEEKDAYS[language].split()[date.weekday()]
    if language == "French" and d == 1:
        values["d"] = "1er"
    if language == "English":
        values["ordinal"] = f"{d}{suffix(d)}"
    if language == "Chinese":
        year = "".join(CHINESE[int(digit)] for digit in f"{y}")
        values |= {"hanzi_y": year, "hanzi_m": chinese(m), "hanzi_d": chinese(d)}
    return values


def suffix(number: int) -> str:
    """English suffix of an ordinal number.

    Args:
        number: Number from 1 to 31.

    Returns:
        "st", "nd", "rd" or "th".

    Example:
        >>> [suffix(number) for number in (1, 2, 3, 11, 22)]
        ['st', 'nd', 'rd', 'th', 'nd']
    """
    if number in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def chinese(number: int) -> str:
    """Write a number in Chinese characters.

    Args:
        number: Number from 1 to 99.

    Returns:
        Tens and units; only the tens if the units are zero.

    Example:
        >>> [chinese(number) for number in (5, 10, 12, 20, 31)]
        ['五', '十', '十二', '二十', '三十一']
    """
    tens, units = divmod(number, 10)
    ten = {0: "", 1: "十"}.get(tens, CHINESE[tens] + "十")
    return ten + (CHINESE[units] if units else "")


def written(date: datetime.date, form: Format) -> str:
    """Write a date in a format.

    Args:
        date: A day.
        form: One of `FORMATS`.

    Returns:
        The text.

    Example:
        >>> written(datetime.date(2024, 3, 5), FORMATS[5])
        'Tuesday, 5 March 2024'
    """
    return form.pattern.format(**fields(date, form.language))


def parts(date: datetime.date, form: Format) -> list[tuple[str, slice]]:
    """Position of each part in a written date.

    Args:
        date: A day.
        form: One of `FORMATS`.

    Returns:
        Pairs of "year", "month", "day" or "weekday" and its slice, ordered by position.

    Example:
        >>> form = Format("German", "{d}. {month} {y}")
        >>> for part, where in parts(datetime.date(2024, 3, 5), form):
        ...     print(part, "5. März 2024"[where])
        day 5
        month März
        year 2024
    """
    slices, end = [], 0
    for text, field, form_spec, _ in string.Formatter().parse(form.pattern):
        end += len(text)
        if field is not None:
            start, value = end, fields(date, form.language)[field]
            end += len(format(value, form_spec or ""))
            slices.append((PART_OF_FIELD[field], slice(start, end)))
    return slices
