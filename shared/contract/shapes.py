"""The common shapes of the contract (VOCABULARY 1, RULES A12): what a well-formed number, code, date or text is."""

import re
import unicodedata
from dataclasses import dataclass
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
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.contract.identity_numbers import (
    canonical,
    holds_personal_number,
    is_old_number,
    is_resident_form,
    is_resident_number,
    resident_check_digit,
)

LARGEST: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact

_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_CREDIT: Final = re.compile(rf"[{_CREDIT_ALPHABET}]{{18}}")
_LONGEST_TEXT: Final = 200
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRAVEL_NUMBER: Final = re.compile(r"[A-Z0-9()/]{5,20}")
# Characters without a form of their own that Unicode does not call format characters; variation selectors among them.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2028\u2029\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_IDEOGRAPHIC_PLANES: Final = range(0x20000, 0x40000)


@dataclass(frozen=True, slots=True)
class AtTheDoor:
    """Validation context of what is reported now; what is stored was checked when it came, and is decoded without.

    `credit_codes`: registered credit codes whose check character is wrong, as the plans list them (RULES A24).
    """

    credit_codes: frozenset[str] = frozenset()

    def takes_credit_code(self, text: str) -> bool:
        """Tell whether a text is a credit code with a right check character, or one that a plan lists."""
        return is_credit_code(text) or text in self.credit_codes


def credit_check_digit(body: str) -> str:
    """Return the check character of a unified social credit code's first 17 characters (GB 32100-2015, mod 31)."""
    total = sum(map(mul, _CREDIT_WEIGHTS, map(_CREDIT_ALPHABET.index, body)))
    return _CREDIT_ALPHABET[-total % 31]


@lru_cache(4096)
def is_credit_code(text: str) -> bool:
    """Tell whether a text is a credit code with a right check character."""
    return _CREDIT.fullmatch(text) is not None and credit_check_digit(text[:17]) == text[17]


def is_visible(text: str) -> bool:
    """Tell whether a text holds nothing that a reader cannot see: controls, format characters, blanks (RULES A22)."""
    if text.isascii():
        return text.isprintable()
    return _BLANK.search(text) is None and (text.isprintable() or not any(map(_is_hidden, text)))


def _is_hidden(char: str) -> bool:
    kind = unicodedata.category(char)
    # A rare character of a name may be younger than the tables of this Python.
    return kind[0] == "C" and not (kind == "Cn" and ord(char) in _IDEOGRAPHIC_PLANES)


def _fault(code: str, **context: object) -> PydanticCustomError:
    return PydanticCustomError(code, "wrong", context)


def _text(value: str, info: ValidationInfo) -> str:
    at_the_door = info.context is not None
    if at_the_door and holds_personal_number(value):
        raise _fault("personal-number")
    value = unicodedata.normalize("NFC", value)
    if at_the_door and not is_visible(value):
        raise _fault("bad-value", expected="不含控制字符和不可见字符 no control, format or invisible characters")
    if not 1 <= len(value.strip()) <= len(value) <= _LONGEST_TEXT:
        raise _fault("bad-value", expected="1-200 字 1-200 characters")
    return value


def _impersonal(value: str, info: ValidationInfo) -> str:
    if info.context is not None and holds_personal_number(value):
        raise _fault("personal-number")
    return value


def _report_id(value: str, info: ValidationInfo) -> str:
    if info.context is not None and not is_plain(value):
        raise _fault("bad-value", expected="不含全角和不可见字符 no full-width or invisible characters")
    return value


def _credit_code(value: str, info: ValidationInfo) -> str:
    door = info.context if isinstance(info.context, AtTheDoor) else None
    if door is not None and is_credit_code(value):  # which is remembered
        return value
    if _CREDIT.fullmatch(value) is None:
        raise _fault("bad-value", expected="18 位统一社会信用代码 a credit code of 18 characters (GB 32100)")
    if door is not None and not door.takes_credit_code(value):
        raise _fault("personal-number" if holds_personal_number(value) else "bad-checksum")
    return value


def is_plain(text: str) -> bool:
    """Tell whether a text equals its NFKC form and is visible, as ids and sources must be (RULES A22)."""
    return (text.isascii() or unicodedata.is_normalized("NFKC", text)) and is_visible(text)


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
SOURCE_FORM: Final = r"/districts/[0-9]{6}/[A-Za-z0-9._-]{1,40}"
_SANDBOX: Final = re.compile(r"/districts/[0-9]{6}/sandbox", re.IGNORECASE)
NO_FORM: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_MONTH: Final = r"[0-9]{4}-(0[1-9]|1[0-2])"
_TEXT: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT})

Text = Annotated[str, AfterValidator(_text), _TEXT]
ReportId = Annotated[
    str,
    AfterValidator(_impersonal),
    form(ID_FORM, "1-200 个非空白字符 1-200 characters, no spaces"),
    AfterValidator(_report_id),
    described(ID_FORM),
]


def in_sandbox(source: str | None) -> bool:
    """Tell whether what a source reports is a trial (RULES A26): its system begins with `sandbox`, however written."""
    return source is not None and _SANDBOX.match(source) is not None


ReportSource = Annotated[
    str, AfterValidator(_impersonal), form(SOURCE_FORM, "/districts/<code>/<system>"), described(SOURCE_FORM)
]
_NO_EXPECTED: Final = (
    "字母或数字开头,只含字母、数字、点、横线和下划线,至多 64 位 letters, digits, '.', '_', '-', at most 64, first a "
    "letter or digit"
)
No = Annotated[str, AfterValidator(_impersonal), form(NO_FORM, _NO_EXPECTED), described(NO_FORM)]
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
    name: Text | None = None
    phone: Text | None = None

    @property
    def number(self) -> str:
        """The number in NFKC and upper case, without spaces and hyphens."""
        return canonical(self.id_number)

    @model_validator(mode="after")
    def _check_number(self) -> "IdentifiedPerson":
        number = self.number
        if is_resident_number(number):
            return self
        if is_old_number(number) or (self.id_type == "resident" and not is_resident_form(number)):
            raise _fault("bad-value", field="id_number", expected="18 位身份证号码 18 characters (GB 11643)")
        if self.id_type != "resident":
            if _TRAVEL_NUMBER.fullmatch(number) is None:
                raise _fault("bad-value", field="id_number", expected="5-20 位证件号码 a number of 5-20 characters")
        elif resident_check_digit(number[:17]) != number[17]:
            raise _fault("bad-checksum", field="id_number")
        else:
            raise _fault("bad-date", field="id_number")
        return self
