"""The JSON value of a cell: text, whole numbers, dates and yes or no as people write them in spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, NoReturn, assert_never

from pydantic import JsonValue

from client.fields import ReportField
from client.moments import text_of_moment, was_made_a_date, written_moment
from client.tables.content import BROKEN, Broken, Cell, Merged, Moment, Number
from client.tables.names import INVISIBLE, plain
from client.tables.number_formats import exact
from client.tables.source import REPLACED
from client.units import FACTORS, Unit, unit_of

Note = Callable[[str], None]
DecimalSign = Literal[".", ","]

_PROTECTED: Final = re.compile(r'="(.*)"|=(-?[0-9.]+)', re.DOTALL)
_ERROR: Final = re.compile(
    r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!|GETTING_DATA|FIELD!|BLOCKED!|CONNECT!|BUSY!)|#{3,}|Err:\d+"
)
_RAISED: Final = ("<super>", "<sub>", "<circle>", "<fraction>")  # of how Unicode takes characters apart
_SCIENTIFIC: Final = re.compile(r"-?[0-9](\.[0-9]+[eE]\+?|[eE]\+)[0-9]{2,3}")
_LONG_NUMBER: Final = re.compile(r"[0-9]{15}0+|[0-9]{15,}0{3}")
_EXACT: Final = 10**15  # a spreadsheet keeps the digits of a larger number no longer exact
_DIGITS: Final = 15
_BEGINS_CHANGED: Final = frozenset("-0123456789jfmasondJFMASOND")  # how all begins that a spreadsheet has changed
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—−﹣", "-"))
_YES_OR_NO: Final = {"true": True, "yes": True, "y": True, "1": True, "是": True, "√": True, "有": True, "✓": True,
                     "false": False, "no": False, "n": False, "0": False, "否": False, "×": False, "✗": False,
                     "无": False}  # fmt: skip
_NUMBER: Final = re.compile(
    r"(?P<before>¥|rmb|cny|人民币)?(?P<number>[+-]?[0-9][0-9.,']*)(?P<after>[^0-9.,+-][^0-9]{0,5})?", re.IGNORECASE
)
_MOST_WORDS: Final = 12
# What stands in a cell for "nothing", "not yet" or "the same", as `plain` compares it.
_PLACEHOLDERS: Final = frozenset(
    {
        *("-", "--", "—", "——", "－", "/", "//", "、", ".", "。", "…", "?", "？", "*", "〃"),
        *("无", "暂无", "没有", "不详", "未知", "不明", "略", "待定", "待补", "待查", "未填", "空", "同上", "同前"),
        *("n/a", "na", "nil", "null", "none", "unknown", "tbd", "ditto"),
    }
)
_PLAIN: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_EITHER: Final = re.compile(r"[+-]?[0-9]{1,3}[.,][0-9]{3}")  # of three digits: thousands or decimals
_COUNTED: Final = re.compile("[人名个家次户只张份件项场节学时位岗年期届门课元]{1,3}")


class CellError(Exception):
    """A cell that cannot be what its field wants; the texts never quote it."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(code)
        self.code, self.zh, self.en = code, zh, en


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """How the cells of a column are read: the field that they fill, words for values, the unit of an amount.

    `decimal`: what stands before decimals, None where it must be told from each number; `comma`: what separates cells.
    """

    field: ReportField
    values: Mapping[str, str] | None = None
    unit: Unit | None = None
    decimal: DecimalSign | None = None
    comma: str = ","


def ignore(_: str) -> None:
    """Take no note."""


def text_of(cell: Cell) -> str:
    """Return the text of a cell as it is shown; raises CellError where it has none that can be relied on."""
    match cell:
        case None:
            return ""
        case str():
            return _clean(cell)
        case bool():
            return "TRUE" if cell else "FALSE"
        case Number():
            return _number_text(cell)
        case Moment():
            return text_of_moment(cell.at)
        case time():
            return f"{cell:%H:%M:%S}"
        case Broken():
            _raise_broken(cell.code)
        case Merged() if cell.sideways:
            _raise_broken("merged-cells")
        case Merged():
            return text_of(cell.value)
    assert_never(cell)


def _raise_broken(code: str) -> NoReturn:
    raise CellError(code, *BROKEN[code])


def _clean(text: str) -> str:
    if not text.isascii():
        text = INVISIBLE.sub("", text)
        if REPLACED in text:
            _raise_broken("damaged-text")
    text = text.strip()
    first = text[:1]
    if first == "=" and (protected := _PROTECTED.fullmatch(text)):
        text = (protected[1] if protected[1] is not None else protected[2]).replace('""', '"').strip()
    elif first == "'":
        text = text[1:].strip()
    elif first in ("#", "E") and _ERROR.fullmatch(text):
        _raise_broken("cell-error")
    return text


def _number_text(cell: Number) -> str:
    if abs(cell.value) >= _EXACT:
        raise _number_lost()
    text = cell.form.render(cell.value)
    if text is None:
        raise _unclear()
    return text


def _number_lost() -> CellError:
    return CellError(
        "number-lost",
        "Excel 把这个号码当作数值,末几位已丢失。请把该列设为文本,按原件重新录入。",
        "Excel took this number for a quantity and lost its last digits. Format the column as text and enter it "
        "again from the original.",
    )


def _unclear() -> CellError:
    return CellError("format-unclear", *BROKEN["format-unclear"])


def _is_date() -> CellError:
    return CellError(
        "cell-is-date",
        "Excel 把这个编号改成了日期。请把该列设为文本后重新录入。",
        "Excel has made a date of this number. Format the column as text and enter it again.",
    )


def value_of(cell: Cell, reading: ColumnReading, note: Note = ignore) -> JsonValue:
    """Return a cell as a JSON value of the field's kind, None where it is empty; notes what is read otherwise.

    Raises CellError where the cell cannot be right; what merely does not fit stays, for the service to refuse.
    """
    if isinstance(cell, Merged) and not cell.sideways:
        if reading.field.kind == "integer":
            raise CellError(
                "merged-amount",
                "数量或金额写在合并的格子里,看不出每一行是多少。",
                "An amount stands in a merged cell: it cannot be told what each row has.",
            )
        if not cell.first:
            note("merged-cells")
        cell = cell.value
    if cell is None:
        return None
    field = reading.field
    if reading.values is not None:
        text = text_of(cell)
        if not text:
            return None
        cell = _word(text, reading) or None
        if cell is None:
            return None
    match field.kind:
        case "date":
            return _date(cell, note)
        case "integer":
            return _integer(cell, reading)
        case "boolean":
            text = text_of(cell)
            return _YES_OR_NO.get(plain(text), text) if text else None
        case "text" | "list":
            return _text(cell, field, note) or None
        case _:
            assert_never(field.kind)


def _word(text: str, reading: ColumnReading) -> str:
    values = reading.values or {}
    value = values.get(text, values.get(plain(text)))
    if value is None:
        known = _known_words(tuple(values))
        raise CellError(
            "bad-value",
            f"认不出这一格的写法。可写:{'、'.join(known)}。要用其他写法,先在各列的对照中写明它的意思。",
            f"This word is not known. Known are: {', '.join(known)}. For another, say what it means at its column.",
        )
    return value


@lru_cache(64)  # of one column mostly, asked for each of its rows
def _known_words(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a mapping as they were written there, the first of many."""
    as_compared = {plain(key) for key in keys if plain(key) != key}
    written = [key for key in keys if key not in as_compared]
    return (*written[:_MOST_WORDS], *(["…"] if len(written) > _MOST_WORDS else []))


def compared(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the words of a mapping with each also as it is compared: without spaces and quotes, of any width."""
    return {**values, **{plain(word): value for word, value in values.items() if plain(word) not in values}}


def _date(cell: Cell, note: Note) -> JsonValue:
    match cell:
        case Moment():
            if (cell.at.hour, cell.at.minute, cell.at.second) != (0, 0, 0):
                note("clock-ignored")
            if not cell.day_shown:
                note("day-not-shown")
            return cell.at.date().isoformat()
        case Number() if cell.form.kind in ("general", "number") and not _is_day_number(cell.value):
            raise CellError(
                "bad-date",
                "这一格是数字,不是日期(日期在 Excel 里可能显示成 45811 这样的数)。请把该列设为日期格式后核对。",
                "This cell holds a number and no date (a date may show as one such as 45811). Format the column as a "
                "date and check it.",
            )
        case time():
            raise CellError("bad-date", "这一格只有时刻,没有日期。", "This cell has a clock time and no date.")
    text = text_of(cell)
    written = written_moment(text) if text else None
    if written is None:
        return text or None
    if written.has_clock:
        note("clock-ignored")
    return written.day


def _is_day_number(value: float) -> bool:
    return value == int(value) and written_moment(str(int(value))) is not None


def code_text(cell: Cell, note: Note) -> str:
    """Return the text of a cell that is a number of a thing or a code, in one canonical form; raises CellError."""
    if isinstance(cell, Merged) and not cell.sideways:
        cell = cell.value
    if isinstance(cell, Moment | time):
        raise _is_date()
    text = text_of(cell)
    if isinstance(cell, str):
        if not text.isascii():
            _check_plain(text)
            text = unicodedata.normalize("NFKC", text).strip().translate(_DASHES)
        if text[:1] in _BEGINS_CHANGED:
            _check_changed(text, note)
    elif isinstance(cell, Number) and "," in text:
        raise _unclear()  # 1,234 and 1234 would be two things
    return text


def _check_plain(text: str) -> None:
    """Raise CellError for digits and letters that are raised, circled or a fraction: whoever sees 10² means no 102."""
    if not text.isascii() and any(unicodedata.decomposition(sign).startswith(_RAISED) for sign in text):
        raise CellError(
            "bad-value",
            "这里有上标、下标、带圈或分数的字符,请改用普通的数字和字母。",
            "Raised, lowered, circled or fraction characters stand here; write plain digits and letters.",
        )


def _check_changed(text: str, note: Note) -> None:
    """Raise CellError where a spreadsheet has made another thing of a number; note where it may have."""
    if _SCIENTIFIC.fullmatch(text):
        raise _number_lost()
    if was_made_a_date(text):
        raise _is_date()
    if _LONG_NUMBER.fullmatch(text):
        note("digits-in-doubt")


def _text(cell: Cell, field: ReportField, note: Note) -> str:
    if not field.coded:
        if isinstance(cell, Moment | time):
            raise _is_date()
        text = text_of(cell)
        if _SCIENTIFIC.fullmatch(text):
            raise _number_lost()
        if plain(text) in _PLACEHOLDERS:
            note("placeholder")
        return text
    text = code_text(cell, note)
    return "".join(text.split())


def _integer(cell: Cell, reading: ColumnReading) -> JsonValue:
    if isinstance(cell, Moment | time):
        raise CellError(
            "cell-is-date",
            "这里要填数字,Excel 把它改成了日期。请把该列设为“常规”后重新录入。",
            "A number is expected, and Excel has made a date of it. Format the column as General and enter it again.",
        )
    if isinstance(cell, Number):
        number, word = _shown_number(cell, reading)
    else:
        text = text_of(cell)
        if not text:
            return None
        if _SCIENTIFIC.fullmatch(text):
            raise _number_lost()
        number, word = _written_number(text, reading)
    _check_word(word, reading)
    number *= FACTORS[reading.unit or "fen"]
    if abs(number) >= _EXACT:
        raise _number_lost()
    if number == number.to_integral_value():
        return int(number)
    if reading.field.is_money:
        raise CellError(
            "bad-value",
            "金额还有不足一分的零头。请核对单位,把金额取到分。",
            "The amount has a fraction of a fen. Check its unit, and round it to fen.",
        )
    raise CellError("bad-value", "这里要填整数。", "A whole number is expected.")


def _shown_number(cell: Number, reading: ColumnReading) -> tuple[Decimal, str]:
    """Return the number of a cell and the word beside it; raises CellError where it shows another number."""
    if abs(cell.value) >= _EXACT:
        raise _number_lost()
    number = exact(cell.value)
    form = cell.form
    if form.kind != "number":
        if form.kind == "unclear":
            raise _unclear()
        return number, ""
    text = form.render(cell.value)
    if number == 0:
        return number, ""
    if text is None or form.is_scaled:
        raise _unclear()
    matched = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", "").replace("(", "-").replace(")", ""))
    if matched is None or Decimal(matched["number"].replace(",", "")) != number:
        raise CellError(
            "shown-otherwise",
            "这一格显示的数经过四舍五入,与格内的数不同。",
            "This cell shows a rounded number, not the one that it holds.",
        )
    return number, matched["after"] or matched["before"] or ""


def _written_number(text: str, reading: ColumnReading) -> tuple[Decimal, str]:
    _check_plain(text)
    matched = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", "").lower())
    if matched is None:
        raise CellError("bad-value", "这里要填数字。", "A number is expected.")
    digits = matched["number"]
    sign = reading.decimal
    # "1,234" may be a thousand or 1.234; that commas part the cells as well does not settle it.
    if sign is None and _EITHER.fullmatch(digits) and ("," in digits or reading.comma == ";"):
        raise _ambiguous()
    if sign == ",":
        digits = digits.translate(str.maketrans(",.", ".,"))
    if _GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif not _PLAIN.fullmatch(digits):
        raise _ambiguous()
    number = Decimal(digits)
    if "." in digits and len(number.as_tuple().digits) > _DIGITS:
        number = exact(float(number))  # the dust of a program's binary fractions
    return number, matched["after"] or matched["before"] or ""


def _ambiguous() -> CellError:
    return CellError(
        "ambiguous-number",
        "看不出逗号和句点哪个是小数点。",
        "It cannot be told whether the comma or the point stands before decimals.",
    )  # fmt: skip


def _check_word(word: str, reading: ColumnReading) -> None:
    if not word:
        return
    if reading.field.is_money:
        if unit_of(word) != reading.unit:
            raise CellError(
                "unit-differs",
                "这一格自己写的单位与整列的单位不同。",
                "The unit in this cell differs from that of its column.",
            )
    elif not _COUNTED.fullmatch(word):
        raise CellError("bad-value", "这里要填数字,后面不带别的字。", "A number alone is expected.")
