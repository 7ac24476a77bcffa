"""One valid report of any type, made from the published languages: a new type has it at once."""

from __future__ import annotations

import re
from types import NoneType
from typing import Annotated, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, JsonValue

from client.demo.people import MadeUpPeople
from client.fields import LANGUAGES, is_reported
from client.messages import JsonObject
from services import vocabulary
from shared.contract import shapes
from shared.contract.events import Event, ReportVoided

_DISTRICT: Final = "330681"
_CITY: Final = "330600"
_DAY: Final = "2024-05-06"
MEMBER_OF: Final = re.compile(r"<([a-z_.]+)>")
_PLAN: Final = "shaoxing-2023-2025"
_INVENTED: Final = MadeUpPeople("sample")
_ORGANISATION_KINDS: Final = {"school": "school", "provider": "provider", "bank": "bank", "authority": "office"}
# By identity of the shape, most special first; counts are equal, so that parts never exceed their total.
_VALUES: Final[tuple[tuple[object, JsonValue], ...]] = (
    (shapes.Date, _DAY),
    (shapes.Month, _DAY[:7]),
    (vocabulary.OccupationCode, "6-18-01-01"),
    (vocabulary.MajorCode, "660103"),
    (vocabulary.Province, "36"),
    (shapes.No, "DEMO-2024-0001"),
    (shapes.Year, 2024),
    (shapes.Count, 40),
    (shapes.Number, 40),
    (vocabulary.Level, "3"),
    (shapes.Text, "演示 sample"),
    (shapes.ReportId, "sample-0001"),
    (shapes.ReportSource, f"/districts/{_DISTRICT}/sample"),
    (shapes.DistrictCode, _DISTRICT),
)


def sample(type_: str) -> JsonObject | None:
    """Return a valid event of a type, None when no service takes such reports."""
    language = next((language for language in LANGUAGES if language.find(type_)), None)
    event = language.find(type_) if language else None
    if language is None or event is None or not (is_reported(event) or event is ReportVoided):
        return None
    # A retraction has the subject of what it takes back: that of any sample.
    subject = event.subject or language.events[0].subject
    data, district = _object(event), _CITY if event.whole_only else _DISTRICT
    return {
        "specversion": "1.0",
        "id": "sample-0001" if event.subject else "sample-0002",
        "source": f"/districts/{district}/sample",
        "type": type_,
        "subject": MEMBER_OF.sub(lambda match: _part(event, data, match[1]), subject),
        "time": f"{_DAY}T09:30:00+08:00",
        "district": district,
        "datacontenttype": "application/json",
        "data": data,
    }


def _part(event: type[Event], data: JsonObject, path: str) -> str:
    """Return what stands for `<path>` in the subject of a sample."""
    value = value_at(data, path)
    if value is not None:
        return str(value)
    known = {
        "district": _DISTRICT,
        "credit_code": _INVENTED.organisation("enterprise", _DISTRICT, 1)["credit_code"],
        "major_code": "660103",
    }
    return known.get(path.rpartition(".")[2], f"DEMO-{event.type_name}"[:64])


def value_at(event: JsonObject, path: str) -> JsonValue:
    """Return what stands at a path of a report, `data.person.name`; None where nothing does."""
    value: JsonValue = event
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _object(shape: type[BaseModel]) -> JsonObject:
    hints = get_type_hints(shape, include_extras=True)
    return {name: _value(name, hints[name]) for name, field in shape.model_fields.items() if field.is_required()}


def _value(name: str, hint: object) -> JsonValue:
    if name == "plan":
        return _PLAN
    for shape, value in _VALUES:
        if hint == shape:
            return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(name, arguments[0])
    if origin is Literal:
        first: JsonValue = arguments[0]
        return first
    if origin is list:
        return [_value(name, arguments[0])]
    if origin is dict:
        return {str(_value(name, arguments[0])): 10}
    if hint is shapes.Organisation:
        return {**_INVENTED.organisation(_ORGANISATION_KINDS.get(name, "enterprise"), _DISTRICT, 1)}
    if hint is shapes.Person:
        return {**_INVENTED.person(1)}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _object(hint)
    if hint is bool:
        return True
    rest = [argument for argument in arguments if argument is not NoneType]
    if rest:
        return _value(name, rest[0])
    raise TypeError(f"no sample for {name}: {hint}")
