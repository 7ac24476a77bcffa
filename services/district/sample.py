"""Builds one valid event of any type from the published languages, so that a new type has its sample at once."""

from __future__ import annotations

import re
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from services.competition.events import LANGUAGE as COMPETITION
from services.district.invented import Invented
from services.enrollment.events import LANGUAGE as ENROLLMENT
from services.recruitment.events import LANGUAGE as RECRUITMENT
from services.subsidy.events import LANGUAGE as SUBSIDY
from shared import shapes
from shared.events import Event

LANGUAGES: Final = (ENROLLMENT, COMPETITION, RECRUITMENT, SUBSIDY)

_DISTRICT: Final = "330681"
_DAY: Final = "2024-05-06"
_MEMBER_OF: Final = re.compile(r"<([a-z_.]+)>")
_INVENTED: Final = Invented("sample")
_ORGANISATION_KINDS: Final = {"school": "school", "provider": "provider", "bank": "bank", "authority": "office"}
# By identity of the shape, most special first; counts are equal, so that parts never exceed their total.
_VALUES: Final[tuple[tuple[object, object], ...]] = (
    (shapes.Date, _DAY),
    (shapes.OccupationCode, "6-18-01-01"),
    (shapes.MajorCode, "660103"),
    (shapes.Province, "36"),
    (shapes.No, "DEMO-2024-0001"),
    (shapes.Year, 2024),
    (shapes.Count, 40),
    (shapes.Number, 40),
    (shapes.Level, "3"),
    (shapes.Text, "演示 sample"),
    (shapes.ReportId, "sample-0001"),
)


def types() -> list[str]:
    """List every type that can be reported."""
    return [language.type_of(event) for language in LANGUAGES for event in language.events if not event.decision]


def sample(type_: str) -> dict[str, Any] | None:
    """Return a valid event of a type, None when no service takes such reports."""
    language = next((language for language in LANGUAGES if language.find(type_)), None)
    event = language.find(type_) if language else None
    if language is None or event is None or event.decision:
        return None
    # A retraction has the subject of what it takes back: that of any sample.
    subject = event.subject or language.events[0].subject
    data = _object(event)
    return {
        "specversion": "1.0",
        "id": "sample-0001" if event.subject else "sample-0002",
        "source": f"/districts/{_DISTRICT}/sample",
        "type": type_,
        "subject": _MEMBER_OF.sub(lambda found: _part(event, data, found[1]), subject),
        "time": f"{_DAY}T09:30:00+08:00",
        "district": _DISTRICT,
        "datacontenttype": "application/json",
        "data": data,
    }


def _part(event: type[Event], data: dict[str, Any], path: str) -> str:
    value: Any = data
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is not None:
        return str(value)
    last = path.rpartition(".")[2]
    known = {
        "district": _DISTRICT,
        "credit_code": _INVENTED.organisation("enterprise", _DISTRICT, 1)["credit_code"],
        "major_code": "660103",
    }
    return known.get(last, f"DEMO-{event.type_name}"[:64])


def _object(shape: type[BaseModel]) -> dict[str, Any]:
    hints = get_type_hints(shape, include_extras=True)
    return {name: _value(name, hints[name]) for name, field in shape.model_fields.items() if field.is_required()}


def _value(name: str, hint: Any) -> Any:
    for shape, value in _VALUES:
        if hint == shape:
            return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(name, arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin is list:
        return [_value(name, arguments[0])]
    if origin is dict:
        return {_value(name, arguments[0]): 10}
    if hint is shapes.Organisation:
        return _INVENTED.organisation(_ORGANISATION_KINDS.get(name, "enterprise"), _DISTRICT, 1)
    if hint is shapes.Person:
        return _INVENTED.person(1)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _object(hint)
    if hint is bool:
        return True
    rest = [argument for argument in arguments if argument is not NoneType]
    if rest:
        return _value(name, rest[0])
    raise TypeError(f"no sample for {name}: {hint}")
