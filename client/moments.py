"""Dates and times as people and spreadsheets write them; without an offset they are Beijing time."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

from shared.contract.events import parse_instant

BEGIN_OF_DAY: Final = "T00:00:00+08:00"
_BEIJING: Final = timezone(timedelta(hours=8))
_DATE: Final = re.compile(
    r"([0-9]{4})\s*(?:-\s*([0-9]{1,2})\s*-|/\s*([0-9]{1,2})\s*/|\.\s*([0-9]{1,2})\s*\.|年\s*([0-9]{1,2})\s*月)\s*([0-9]{1,2})\s*日?"
    r"|([0-9]{4})([0-9]{2})([0-9]{2})"
)
_REST: Final = re.compile(
    r"\s*(?:\(?(?:星期|周)[一二三四五六日天]\)?)?"
    r"(?:(?:T|\s*)(?P<half>上午|下午|中午|晚上|[AaPp][Mm])?\s*(?P<hour>[0-9]{1,2})(?::|时|点)(?P<minute>[0-9]{1,2})?分?"
    r"(?::?(?P<second>[0-9]{1,2})(?:\.[0-9]+)?秒?)?\s*(?P<after>[AaPp][Mm])?\s*(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_MONTH_NAMES: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# What a spreadsheet makes of a number such as 1-2 when it saves text.
_MADE_A_DATE: Final = re.compile(
    rf"[0-9]{{1,2}}-{_MONTH_NAMES}(?:-[0-9]{{2,4}})?|{_MONTH_NAMES}-[0-9]{{2,4}}|[0-9]{{1,2}}月[0-9]{{1,2}}日|[0-9]{{4}}年[0-9]{{1,2}}月",
    re.IGNORECASE,
)


class WrittenMoment(NamedTuple):
    """A day (YYYY-MM-DD), whether a clock time other than midnight stands beside it, and the instant of both."""

    day: str
    has_clock: bool
    instant: str


@lru_cache(10_000)
def written_moment(text: str) -> WrittenMoment | None:
    """Return the moment that a text writes in any usual form, None where it is none; its day need not exist."""
    text = unicodedata.normalize("NFKC", text).strip()
    date = _DATE.match(text)
    rest = _REST.fullmatch(text, date.end()) if date else None
    if date is None or rest is None:
        return None
    year, month, number = (part for part in date.groups() if part is not None)
    day = f"{year}-{int(month):02}-{int(number):02}"
    if rest["hour"] is None:
        return WrittenMoment(day, False, day + BEGIN_OF_DAY)
    hour, half = int(rest["hour"]), (rest["half"] or rest["after"] or "").lower()
    if half in ("下午", "晚上", "pm", "中午") and hour < 12:  # noqa: PLR2004 - noon
        hour += 0 if half == "中午" and hour > 10 else 12  # noqa: PLR2004
    elif half in ("上午", "am") and hour == 12:  # noqa: PLR2004
        hour = 0
    minute, second = int(rest["minute"] or 0), int(rest["second"] or 0)
    offset = (rest["offset"] or "+08:00").replace("z", "Z")
    if offset != "Z" and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    instant = f"{day}T{hour:02}:{minute:02}:{second:02}{offset}"
    at = parse_instant(instant)
    if rest["offset"] and at:
        # What another system stores in its own zone is another day here.
        beijing = at.astimezone(_BEIJING)
        return WrittenMoment(f"{beijing:%Y-%m-%d}", f"{beijing:%H%M%S}" != "000000", instant)
    return WrittenMoment(day, bool(hour or minute or second), instant)


def instant_of(text: str) -> str:
    """Return a moment as it is written where it has an offset, else in Beijing time; a text that is none stays."""
    if parse_instant(text):
        return text
    written = written_moment(text)
    return written.instant if written else text


def text_of_moment(at: datetime) -> str:
    """Return a moment of a cell in its one canonical form: the day, with the clock time where it has one."""
    return at.date().isoformat() if (at.hour, at.minute, at.second) == (0, 0, 0) else at.isoformat(timespec="seconds")


def was_made_a_date(text: str) -> bool:
    """Return whether a text is what a spreadsheet makes of a number that looks like a date, 2-Jan for 1-2."""
    return _MADE_A_DATE.fullmatch(text) is not None
