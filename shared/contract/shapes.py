"""The common shapes of the contract (VOCABULARY 1, RULES A12): what a well-formed number, code, date or text is."""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from operator import mul
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

LARGEST: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact

_RESIDENT_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS: Final = "10X98765432"
_RESIDENT: Final = re.compile(r"[0-9]{17}[0-9X]")
_RESIDENT_INSIDE: Final = re.compile(r"(?=([0-9]{17}[0-9Xx]))")
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_CREDIT: Final = re.compile(rf"[{_CREDIT_ALPHABET}]{{18}}")
_OLDEST: Final = 1850
_NUMBER_LENGTH: Final = 18
_LONGEST_TEXT: Final = 200
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRAVEL_NUMBER: Final = re.compile(r"[A-Z0-9()/-]{5,20}")


def resident_check_digit(body: str) -> str:
    """Return the check character of a resident number's first 17 digits (GB 11643-1999, ISO 7064 mod 11-2)."""
    total = sum(map(mul, _RESIDENT_WEIGHTS, map(int, body)))
    return _RESIDENT_CHECKS[total % 11]


def credit_check_digit(body: str) -> str:
    """Return the check character of a unified social credit code's first 17 characters (GB 32100-2015, mod 31)."""
    total = sum(map(mul, _CREDIT_WEIGHTS, map(_CREDIT_ALPHABET.index, body)))
    return _CREDIT_ALPHABET[-total % 31]


def is_credit_code(text: str) -> bool:
    """Tell whether a text is a credit code with a right check character."""
    return _CREDIT.fullmatch(text) is not None and credit_check_digit(text[:17]) == text[17]


def _birth_date(number: str) -> date | None:
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return born if born.year >= _OLDEST else None


def holds_personal_number(text: str) -> bool:
    """Tell whether a valid resident number stands anywhere in a text (RULES A14)."""
    if len(text) < _NUMBER_LENGTH:
        return False
    for digits in _RESIDENT_INSIDE.findall(text):
        number = digits.upper()
        if _birth_date(number) and resident_check_digit(number[:17]) == number[17]:
            return True
    return False


def _fault(code: str, **context: object) -> PydanticCustomError:
    return PydanticCustomError(code, "wrong", context)


def _text(value: str) -> str:
    value = unicodedata.normalize("NFC", value)
    if not value.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise _fault("bad-value", expected="不含控制字符 no control characters")
    if not 1 <= len(value.strip()) <= len(value) <= _LONGEST_TEXT:
        raise _fault("bad-value", expected="1-200 字 1-200 characters")
    return value


def _impersonal(value: str) -> str:
    if holds_personal_number(value):
        raise _fault("personal-number")
    return value


@lru_cache(4096)
def _credit_code(value: str) -> str:
    if _CREDIT.fullmatch(value) is None:
        raise _fault("bad-value", expected="18 位统一社会信用代码 a credit code of 18 characters (GB 32100)")
    if credit_check_digit(value[:17]) != value[17]:
        raise _fault("bad-checksum")
    return value


def _date(value: object) -> date:
    if type(value) is date:
        return value  # a decision of our own; JSON has no dates
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _fault("bad-date")


def form(pattern: str, expected: str) -> AfterValidator:
    """Return the validator of a text that must match a pattern; `expected` says so in both languages."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise _fault("bad-value", expected=expected)
        return value

    return AfterValidator(check)


def described(pattern: str) -> WithJsonSchema:
    """Return the JSON Schema of a text that must match a pattern."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


ID_FORM: Final = r"[^\s\x00-\x1f\x7f]{1,200}"
DISTRICT_FORM: Final = r"[0-9]{6}"
NO_FORM: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_MONTH: Final = r"[0-9]{4}-(0[1-9]|1[0-2])"
_TEXT: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT})

SealedText = Annotated[str, AfterValidator(_text), _TEXT]
Text = Annotated[str, AfterValidator(_text), AfterValidator(_impersonal), _TEXT]
ReportId = Annotated[
    str,
    form(ID_FORM, "1-200 个非空白字符 1-200 characters, no spaces"),
    AfterValidator(_impersonal),
    described(ID_FORM),
]
No = Annotated[str, form(NO_FORM, NO_FORM), AfterValidator(_impersonal), described(NO_FORM)]
Date = Annotated[date, BeforeValidator(_date)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Number = Annotated[int, Field(gt=0, le=LARGEST)]
Fen = Number
Year = Annotated[int, Field(ge=1, le=9999)]
Month = Annotated[str, form(_MONTH, "YYYY-MM"), described(_MONTH)]
DistrictCode = Annotated[str, form(DISTRICT_FORM, "6 位数字 six digits"), described(DISTRICT_FORM)]
Sha256 = Annotated[str, form(r"[0-9a-f]{64}", "64 位十六进制 64 hex digits"), described(r"[0-9a-f]{64}")]
Quantity = Annotated[int | float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
CreditCode = Annotated[str, AfterValidator(_credit_code), described(_CREDIT.pattern)]


class Shape(BaseModel):
    """A closed JSON object: no unknown field, no coercion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Organisation(Shape):
    """Whoever has a unified social credit code (GB 32100-2015)."""

    credit_code: CreditCode
    name: Text


class Person(Shape):
    """A person as the system knows one: `token` says who (equal across services), `sealed` holds the fields."""

    token: Annotated[str, StringConstraints(min_length=1)]
    sealed: str


class IdentifiedPerson(Shape):
    """A person as reported; it goes no further than the door (VOCABULARY 1)."""

    id_number: str
    id_type: Annotated[
        Literal["resident", "passport", "hk-macao-taiwan"],
        # Null equals absent, here as in every optional field (RULES A4).
        BeforeValidator(lambda given: "resident" if given is None else given),
    ] = "resident"
    name: SealedText | None = None
    phone: SealedText | None = None

    def normalised(self) -> str:
        """Return `<id_type>:<number>` with the number in upper case without spaces (RULES A15)."""
        return f"{self.id_type}:{''.join(self.id_number.upper().split())}"

    @model_validator(mode="after")
    def _check_number(self) -> "IdentifiedPerson":
        number = self.normalised().partition(":")[2]
        if self.id_type != "resident":
            if _TRAVEL_NUMBER.fullmatch(number) is None:
                raise _fault("bad-value", field="id_number", expected="5-20 位证件号码 a number of 5-20 characters")
        elif _RESIDENT.fullmatch(number) is None:
            raise _fault("bad-value", field="id_number", expected="18 位身份证号码 18 characters (GB 11643)")
        elif resident_check_digit(number[:17]) != number[17]:
            raise _fault("bad-checksum", field="id_number")
        elif _birth_date(number) is None:
            raise _fault("bad-date", field="id_number")
        return self
