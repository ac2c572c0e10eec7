"""How people write dates in nine languages: names, patterns, and what says what."""

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
    """A way to write a date.

    Attributes:
        language: In which the names are; "digits" where there are none.
        pattern: A template, of the fields that `fields` has.
    """

    language: str
    pattern: str


# A date of digits alone is read by its separators: the year first is year, month, day;
# the year last is day first between dots, and month first between slashes.
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

# What each field says.
SAYS = dict.fromkeys(["y", "hanzi_y"], "year")
SAYS |= dict.fromkeys(["m", "mm", "month", "hanzi_m"], "month")
SAYS |= dict.fromkeys(["d", "dd", "ordinal", "hanzi_d"], "day")
SAYS["weekday"] = "weekday"


def fields(date: datetime.date, language: str) -> dict[str, str]:
    """What a pattern may name.

    Args:
        date: A day.
        language: Of the names.

    Returns:
        Year `y`, month `m` and day `d`, with a zero in front `mm` and `dd`, and the
        names that the language has: `month`, `weekday`, the day as an `ordinal`, and
        `hanzi_y`, `hanzi_m`, `hanzi_d`.

    Example:
        >>> fields(datetime.date(2024, 3, 5), "German")["weekday"]
        'Dienstag'
    """
    y, m, d = date.year, date.month, date.day
    found = {"y": f"{y}", "m": f"{m}", "d": f"{d}", "mm": f"{m:02}", "dd": f"{d:02}"}
    if language in MONTHS:
        found["month"] = MONTHS[language].split()[m - 1]
    if language in WEEKDAYS:
        found["weekday"] = WEEKDAYS[language].split()[date.weekday()]
    if language == "French" and d == 1:
        found["d"] = "1er"
    if language == "English":
        found["ordinal"] = f"{d}{suffix(d)}"
    if language == "Chinese":
        year = "".join(CHINESE[int(digit)] for digit in f"{y}")
        found |= {"hanzi_y": year, "hanzi_m": chinese(m), "hanzi_d": chinese(d)}
    return found


def suffix(number: int) -> str:
    """What English sets after a number that counts.

    Args:
        number: From 1 to 31.

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
    """A number in Chinese characters.

    Args:
        number: From 1 to 99.

    Returns:
        Tens and units, the tens alone if there are no units.

    Example:
        >>> [chinese(number) for number in (5, 10, 12, 20, 31)]
        ['五', '十', '十二', '二十', '三十一']
    """
    tens, units = divmod(number, 10)
    ten = {0: "", 1: "十"}.get(tens, CHINESE[tens] + "十")
    return ten + (CHINESE[units] if units else "")


def written(date: datetime.date, form: Format) -> str:
    """A date in one of the ways.

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
    """Which characters of a written date say what.

    Args:
        date: A day.
        form: One of `FORMATS`.

    Returns:
        "year", "month", "day" or "weekday", and where it stands, in this order.

    Example:
        >>> form = Format("German", "{d}. {month} {y}")
        >>> for says, where in parts(datetime.date(2024, 3, 5), form):
        ...     print(says, "5. März 2024"[where])
        day 5
        month März
        year 2024
    """
    found, end = [], 0
    for text, field, form_spec, _ in string.Formatter().parse(form.pattern):
        end += len(text)
        if field is not None:
            start, value = end, fields(date, form.language)[field]
            end += len(format(value, form_spec or ""))
            found.append((SAYS[field], slice(start, end)))
    return found
