"""What is wrong with data, as rules: each fault that validation finds, pointed at without repeating a value."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from shared.contract import rules
from shared.contract.identity_numbers import holds_personal_number
from shared.contract.rules import Rule

_SHOWN_STEP: Final = re.compile(r"(?!(?:.*[0-9]){5})[!-~]{1,40}")  # no telephone, no Chinese name
_FAULTS: Final[Mapping[str, type[Rule]]] = {
    "missing": rules.MissingField,
    "extra_forbidden": rules.UnknownField,
    "bad-date": rules.BadDate,
    "bad-checksum": rules.BadChecksum,
    "personal-number": rules.PersonalNumber,
}
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "字符串 a string",
    "int_type": "整数 an integer",
    "float_type": "数 a number",
    "finite_number": "有限的数 a finite number",
    "bool_type": "是或否(true、false) true or false",
    "model_type": "对象 an object",
    "model_attributes_type": "对象 an object",
    "greater_than": "大于 0 的整数 an integer above 0",
    "greater_than_equal": "不小于 0 的整数 an integer of 0 or more",
    "less_than_equal": "较小的整数 a smaller integer",
    "list_type": "数组 an array",
    "too_short": "至少一项 at least one item",
    "dict_type": "对象 an object",
}
_LISTS: Final = ("literal_error", "enum")


def faults_of(error: ValidationError, place: str) -> Iterator[Rule]:
    """Yield the rule that each fault breaks; `place`: the pointer to what was validated."""
    for fault in error.errors(include_url=False, include_input=False):
        context: Mapping[str, str | int] = fault.get("ctx", {})
        # "[key]" is pydantic's word for the name of a member, which a JSON pointer points at as it stands.
        steps = [step for step in (*fault["loc"], context.get("field")) if step not in ("[key]", None)]
        kind = fault["type"]
        make = _FAULTS.get(kind, rules.BadValue)
        expected = (
            _one_of(str(context["expected"])) if kind in _LISTS else context.get("expected") or _EXPECTED.get(kind)
        )
        yield make(pointer_to(place, steps), expected=expected or "另一种内容 something else")


def _one_of(listed: str) -> str:
    """Return in both languages the values that pydantic lists as `'a', 'b' or 'c'`."""
    values = re.findall(r"'([^']*)'", listed)
    return f"{'、'.join(values)} 之一 one of {', '.join(values)}" if len(values) > 1 else "".join(values)


def pointer_to(place: str, steps: Iterable[str | int]) -> str:
    """Return the JSON pointer of a member; one of no name of ours may be a person's: point at what holds it."""
    visible = itertools.takewhile(
        lambda step: isinstance(step, int) or (_SHOWN_STEP.fullmatch(step) and not holds_personal_number(step)), steps
    )
    return place + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in visible)
