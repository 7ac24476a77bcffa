"""Display formats of spreadsheets (ECMA-376 Part 1, 18.8.30): whether a number is a moment, and what it looks like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Final, Literal

Kind = Literal["general", "text", "number", "moment", "unclear"]

_TOKENS: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|[\\!](?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<ampm>AM/PM|A/P|上午/下午)|(?P<exponent>[eE][+-])|(?P<general>General|G/通用格式)|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_ELAPSED: Final = re.compile(r"h+|m+|s+", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"\$([^-]*)(?:-.*)?")
_COLOUR: Final = re.compile(
    r"(black|blue|cyan|green|magenta|red|white|yellow|colou?r ?\d+|颜色 ?\d+|[黑蓝青绿红白黄]色?|洋红)",
    re.IGNORECASE,
)
_SECTIONS: Final = 4
# Chinese editions show the numbers of these ids as dates or times (18.8.30, zh-cn); no file says what they look like.
_CHINESE: Final = {
    **dict.fromkeys((27, 36, 50, 52, 57), "yyyy年m月"), **dict.fromkeys((28, 29, 51, 53, 54, 58), "m月d日"),
    30: "m-d-yy", 31: "yyyy年m月d日", **dict.fromkeys((32, 55), "h时mm分"), **dict.fromkeys((33, 56), "h时mm分ss秒"),
    34: "h时mm分", 35: "h时mm分ss秒",
}  # fmt: skip
_BUILT_IN: Final = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "¥#,##0", 6: "¥#,##0", 7: "¥#,##0.00",
    8: "¥#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy/m/d", 15: "d-mmm-yy",
    16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy/m/d h:mm",
    37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: "¥#,##0", 43: "#,##0.00",
    44: "¥#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
} | _CHINESE  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Section:
    """One of the up to four parts of a format: for positive, negative, zero and text."""

    prefix: str = ""
    suffix: str = ""
    whole: int = 0  # digits that are always shown before the point
    decimals: int = 0
    optional_decimals: int = 0
    grouped: bool = False
    thousands: int = 0  # how often the number is divided by 1,000 before it is shown
    percent: int = 0
    placeholders: bool = False
    general: bool = False
    unclear: bool = False
    conditional: bool = False  # which numbers it is for is said in it


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A display format."""

    kind: Kind
    day_shown: bool = True
    sections: tuple[_Section, ...] = ()
    around: tuple[str, str] = ("", "")  # what is shown before and after a text
    hides_text: bool = False

    def render(self, value: float) -> str | None:
        """Return what a cell of this format shows; None where that cannot be told, or is nothing."""
        number = exact(value)
        if self.kind in ("general", "text"):
            return _plain(number).join(self.around)
        if self.kind != "number":
            return None
        section, signed = self._section(number)
        if section.unclear or not (section.placeholders or section.general):
            return None
        if section.general:
            return section.prefix + _plain(abs(number) if signed else number) + section.suffix
        scaled = abs(number) / Decimal(1000) ** section.thousands * Decimal(100) ** section.percent
        most = section.decimals + section.optional_decimals
        digits = format(scaled.quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP), "f")
        whole, _, decimals = digits.partition(".")
        while len(decimals) > section.decimals and decimals.endswith("0"):
            decimals = decimals[:-1]
        whole = ("" if whole == "0" and not section.whole else whole).zfill(section.whole)
        if section.grouped:
            whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole)
        sign = "-" if number < 0 and not signed and digits.strip("0.") else ""
        return f"{sign}{section.prefix}{whole}{'.' if decimals else ''}{decimals}{section.suffix}"

    @property
    def is_scaled(self) -> bool:
        """Whether what is shown is another number than the one that is there: a percentage, or thousands."""
        return any(section.thousands or section.percent for section in self.sections)

    def _section(self, number: Decimal) -> tuple[_Section, bool]:
        """Return the section for a number, and whether it says the sign itself."""
        numeric = self.sections[:3]
        if number < 0 and len(numeric) > 1:
            return numeric[1], True
        return (numeric[-1] if number == 0 and len(numeric) == _SECTIONS - 1 else numeric[0]), False


def exact(value: float) -> Decimal:
    """Return a number as a spreadsheet knows it: of 15 digits, without the dust of binary fractions."""
    return Decimal(value) if isinstance(value, int) else Decimal(f"{value:.15g}")


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def built_in(number: int) -> NumberFormat:
    """Return the format of an id that files do not spell out; an unknown one is General."""
    return number_format(_BUILT_IN.get(number, "General"))


@cache
def number_format(code: str) -> NumberFormat:
    """Return what a format code means."""
    parts: list[list[re.Match[str]]] = [[]]
    for token in _TOKENS.finditer(code):
        if token["other"] == ";":
            parts.append([])
        else:
            parts[-1].append(token)
    first = parts[0]
    if _is_moment(first):
        letters = "".join(token["other"] or "" for token in first).lower()
        elapsed = any(token["bracket"] and _ELAPSED.fullmatch(token["bracket"]) for token in first)
        # A sum of hours is no moment of any day.
        return NumberFormat("unclear") if elapsed else NumberFormat("moment", "d" in letters)
    around, hides_text = _text_section(parts)
    if any(token["other"] == "@" for token in first):
        return NumberFormat("text", around=around)
    parsed = [_section(tokens) for tokens in parts[:_SECTIONS]]
    if any(section.conditional for section in parsed):
        return NumberFormat("unclear", around=around, hides_text=hides_text)
    if len(parsed) == 1 and parsed[0] == _Section(general=True):
        return NumberFormat("general")
    return NumberFormat("number", sections=tuple(parsed), around=around, hides_text=hides_text)


def _text_section(parts: list[list[re.Match[str]]]) -> tuple[tuple[str, str], bool]:
    """Return what a format shows before and after a text, and whether it shows no text at all."""
    tokens = parts[_SECTIONS - 1] if len(parts) >= _SECTIONS else parts[-1]
    at = next((at for at, token in enumerate(tokens) if token["other"] == "@"), None)
    if at is None:
        return ("", ""), len(parts) >= _SECTIONS
    literals = [token["quoted"] or token["escaped"] or "" for token in tokens]
    return ("".join(literals[:at]), "".join(literals[at:])), False


def _is_moment(tokens: list[re.Match[str]]) -> bool:
    letters = "".join(token["other"] or "" for token in tokens).lower()
    elapsed = any(token["bracket"] and _ELAPSED.fullmatch(token["bracket"]) for token in tokens)
    return elapsed or any(token["ampm"] for token in tokens) or any(letter in letters for letter in "ymdhs")


def _section(tokens: list[re.Match[str]]) -> _Section:
    prefix, suffix = "", ""
    digits, percent, general, unclear, conditional = "", 0, False, False, False
    for token in tokens:
        literal = token["quoted"] or token["escaped"] or ""
        other = token["other"] or ""
        if token["bracket"] is not None:
            currency = _CURRENCY.fullmatch(token["bracket"])
            literal = currency[1] if currency else ""
            # A condition, digits in Chinese: what is shown cannot be told from the number alone.
            conditional |= token["bracket"].startswith(("<", ">", "="))
            unclear |= currency is None and _COLOUR.fullmatch(token["bracket"]) is None
        elif token["exponent"] or other == "/":
            unclear = True
        elif token["general"]:
            general = True
        elif other == "%":
            percent, literal = percent + 1, "%"
        elif other and other in "0#?.,":
            # A literal between two digits, as in 000-00: the digits are split.
            unclear |= bool(suffix.strip()) and other != ","
            digits += other
        else:
            literal = literal or other
        if digits or general:
            suffix += literal
        else:
            prefix += literal
    whole, _, decimals = digits.rstrip(",").partition(".")
    thousands = len(digits) - len(digits.rstrip(","))
    if "," in decimals:
        thousands += decimals.count(",")
        decimals = decimals.replace(",", "")
    return _Section(
        prefix.strip(), suffix.strip(), whole.count("0"), decimals.count("0"), len(decimals) - decimals.count("0"),
        "," in whole, thousands, percent, bool(re.search("[0#?]", digits)), general, unclear, conditional,
    )  # fmt: skip
