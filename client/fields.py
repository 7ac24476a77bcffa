"""The fields of a report that one row of a table can hold, each with its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from pydantic.json_schema import JsonSchemaValue

from services.catalogue import languages
from shared.contract.events import Event
from shared.contract.shapes import IdentifiedPerson

LANGUAGES: Final = tuple(languages().values())
ATTRIBUTES: Final = ("id", "source", "subject", "time", "district", "corrects")

Kind = Literal["text", "integer", "boolean", "date", "list"]
_KINDS: Final[Mapping[str, Kind]] = {"integer": "integer", "boolean": "boolean", "array": "list"}


@dataclass(frozen=True, slots=True)
class ReportField:
    """One value of a report: its path (`data.person.name`), its kind, and the values of an enumeration.

    `coded`: the value is a code of a fixed form, not words in a person's own spelling.
    """

    path: str
    kind: Kind
    required: bool
    values: tuple[str, ...] = ()
    coded: bool = False

    @property
    def is_money(self) -> bool:
        """Whether it is an amount, which a report gives in fen (RULES E3)."""
        return self.kind == "integer" and self.path.endswith("_fen")

    @property
    def pointer(self) -> str:
        """The path as a JSON pointer (RFC 6901)."""
        return "/" + self.path.replace(".", "/")


def event_of(type_: str) -> type[Event] | None:
    """Return the class of a type that a district can report, None where there is none."""
    event = next((event for language in LANGUAGES if (event := language.find(type_)) is not None), None)
    return event if event is not None and is_reported(event) else None


def is_reported(event: type[Event]) -> bool:
    """Return whether districts report this type; the plan office's go by `skillplan plan`, or as NDJSON."""
    return not event.decision and not event.reserved


def reported_types() -> list[str]:
    """Return every type that districts report."""
    return [language.type_of(event) for language in LANGUAGES for event in language.versions if is_reported(event)]


@cache
def fields_of(event: type[Event]) -> Mapping[str, ReportField]:
    """Return the fields of a report of this type by path; the envelope's attributes come first."""
    schema = event.model_json_schema()
    definitions = dict(schema.get("$defs", {}))
    if event.has_person:
        definitions["Person"] = IdentifiedPerson.model_json_schema()
    attributes = [ReportField(name, "text", name != "corrects") for name in ATTRIBUTES]
    return {field.path: field for field in (*attributes, *_fields("data", schema, definitions, required=True))}


def _fields(path: str, schema: JsonSchemaValue, definitions: JsonSchemaValue, required: bool) -> Iterator[ReportField]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        inner = next(part for part in schema["anyOf"] if part.get("type") != "null")
        yield from _fields(path, inner, definitions, required)
    elif "properties" in schema:
        needed = schema.get("required", ())
        for name, part in schema["properties"].items():
            yield from _fields(f"{path}.{name}", part, definitions, required and name in needed)
    elif schema.get("type") == "object":
        for name in schema["propertyNames"]["enum"]:
            yield ReportField(f"{path}.{name}", "integer", False)
    else:
        values = tuple(schema.get("enum") or ([schema["const"]] if "const" in schema else []))
        text: Kind = "date" if schema.get("format") == "date" else "text"
        coded = bool(values or "pattern" in schema or path.endswith(".id_number"))
        yield ReportField(path, _KINDS.get(schema.get("type", ""), text), required, values, coded)
