"""Identity numbers: the forms of GB 11643, who a number stands for (RULES A15), and numbers inside a text (A14)."""

import re
import unicodedata
from datetime import date
from operator import mul
from typing import Final

_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ZEROS: Final = sum(_WEIGHTS) * ord("0")  # what the digits' codes add to their sum
_CHECKS: Final = "10X98765432"
_RESIDENT: Final = re.compile(r"[0-9]{17}[0-9X]")
_OLD: Final = re.compile(r"[0-9]{15}")
# The letter and eight digits of a permit, and the two digits that count its renewals.
_RENEWED: Final = re.compile(r"([A-Z][0-9]{8})[0-9]{2}")
_INSIDE: Final = re.compile(r"(?=([0-9]{6}(?:1[89]|20)[0-9]{9}[0-9Xx]))")  # of somebody born from 1800 to 2099
_OLDEST: Final = 1850
# Every character that says a digit, and those that say two at once, such as U+3251: most texts have few.
_DIGITS: Final = re.compile(
    r"[\d\u00b2-\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2189\u2460-\u249b\u24ea"
    r"\u3251-\u325f\u32b1-\u32cb\u3358-\u3370\u3378-\u3379\u339f-\u33a6\u33a8\u33af\u33e0-\u33fe"
    r"\U0001f100-\U0001f10a]"
)
_FEWEST: Final = 9
_LENGTH: Final = 18
# What is no format character, space or dash and stands between digits all the same: minus signs, hyphen bullet, dots.
_BETWEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2027\u2043\u2212\u2800\u3164\uffa0"
    ".\u00b7\u0387\u2022\u2024\u2219\u22c5\u2e31\u3002\u30fb\uff0e\uff61\uff65\ufe52\ufe63"
)
# Written for the check character: the sign of multiplication, the Cyrillic and the Greek letter, crosses.
_LIKE_X: Final = frozenset("\u00d7\u03a7\u03c7\u0425\u0445\u2573\u2715\u2716")
_SEPARATORS: Final = frozenset({"Cf", "Cc", "Mn", "Me", "Zs", "Zl", "Zp", "Pc", "Pd"})
_ASCII_SPACES: Final = str.maketrans("", "", " \t\r\n\v\f-\x1c\x1d\x1e\x1f")
_ASCII_RUN: Final = re.compile(r"(?:[0-9][\x00\x1c-\x1f\x7f\s._-]*+){17}[0-9Xx]")
_ASCII_BETWEEN: Final = str.maketrans("", "", " \t\r\n\v\f-._\x00\x1c\x1d\x1e\x1f\x7f")


def resident_check_digit(body: str) -> str:
    """Return the check character of a resident number's first 17 digits (GB 11643-1999, ISO 7064 mod 11-2)."""
    return _CHECKS[(sum(map(mul, _WEIGHTS, body.encode())) - _ZEROS) % 11]


def birth_date(number: str) -> date | None:
    """Return the date of birth that a resident number says, None when it is no day of the calendar."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return born if born.year >= _OLDEST else None


def is_resident_form(number: str) -> bool:
    """Tell whether a canonical number has the form of a resident number, right or not."""
    return _RESIDENT.fullmatch(number) is not None


def is_old_number(number: str) -> bool:
    """Tell whether a canonical number has the 15 digits of the numbers given out before 1999 (RULES A15)."""
    return _OLD.fullmatch(number) is not None


def is_resident_number(number: str) -> bool:
    """Tell whether a canonical number is a valid resident number: form, check character, real date of birth."""
    return (
        is_resident_form(number) and resident_check_digit(number[:17]) == number[17] and birth_date(number) is not None
    )


def canonical(number: str) -> str:
    """Return a number in NFKC and upper case, without spaces and hyphens (RULES A15)."""
    if number.isascii():
        return number.translate(_ASCII_SPACES).upper()
    number = unicodedata.normalize("NFKC", number).upper()
    return "".join(char for char in number if not char.isspace() and unicodedata.category(char) != "Pd")


def canonical_person(id_type: str, number: str) -> tuple[str, str]:
    """Return the kind and the number that tell who is who (RULES A15) of a canonical number.

    A valid resident number is one whatever it was called; of a permit the digits that count renewals are left out.
    """
    if id_type == "resident" or is_resident_number(number):
        return "resident", number
    if id_type == "hk-macao-taiwan" and (renewed := _RENEWED.fullmatch(number)):
        return id_type, renewed[1]
    return id_type, number


def holds_personal_number(text: str) -> bool:
    """Tell whether a valid resident number stands anywhere in a text, in whatever spelling (RULES A14).

    Spaces, hyphens, underscores, dots and what cannot be seen may stand between its digits, of any width or script,
    and what looks like an X for the X.
    """
    if text.isascii():
        if len(text) < _LENGTH or _ASCII_RUN.search(text) is None:
            return False
        bare = text.translate(_ASCII_BETWEEN)
    elif len(text) < _FEWEST or len(_DIGITS.findall(text)) < _FEWEST:
        return False
    else:
        bare = "".join(
            _plain(char)
            for char in unicodedata.normalize("NFKC", text)
            if char not in _BETWEEN and unicodedata.category(char) not in _SEPARATORS
        )
    return any(is_resident_number(digits.upper()) for digits in _INSIDE.findall(bare))


def _plain(char: str) -> str:
    if char in _LIKE_X:
        return "X"
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)
