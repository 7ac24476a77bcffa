"""Decides what of a report can stand in one row of a table: the leaves of a type's data, each with its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from services.catalogue import languages
from shared.contract.events import Event
from shared.contract.shapes import IdentifiedPerson

ROOT: Final = Path(__file__).resolve().parents[1]
LANGUAGES: Final = tuple(languages().values())
ATTRIBUTES: Final = ("id", "source", "subject", "time", "district", "corrects")

Kind = Literal["text", "integer", "boolean", "date", "list"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a report: where it stands (`data.person.name`), of what kind, and the words it may have."""

    path: str
    kind: Kind
    required: bool
    words: tuple[str, ...] = ()

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return "/" + self.path.replace(".", "/")


def event_of(type_: str) -> type[Event] | None:
    """Return the class of a type that a district can report, None where there is none."""
    found = next((event for language in LANGUAGES if (event := language.find(type_)) is not None), None)
    return found if found is not None and is_reported(found) else None


def is_reported(event: type[Event]) -> bool:
    """Tell whether a district reports such; what the plan office decides goes by `skillplan plan`, or as NDJSON."""
    return not event.decision and not event.office


@cache
def leaves(event: type[Event]) -> Mapping[str, Leaf]:
    """Return the values that a report of this type may have, by path; the envelope's attributes come first."""
    schema = event.model_json_schema()
    definitions = dict(schema.get("$defs", {}))
    if event.has_person:
        definitions["Person"] = IdentifiedPerson.model_json_schema()
    attributes = [Leaf(name, "text", name != "corrects") for name in ATTRIBUTES]
    return {leaf.path: leaf for leaf in (*attributes, *_leaves("data", schema, definitions, required=True))}


def _leaves(path: str, shown: Mapping[str, Any], definitions: Mapping[str, Any], required: bool) -> Iterator[Leaf]:
    if "$ref" in shown:
        shown = definitions[shown["$ref"].rpartition("/")[2]]
    if "anyOf" in shown:
        inner = next(part for part in shown["anyOf"] if part.get("type") != "null")
        yield from _leaves(path, inner, definitions, required)
    elif "properties" in shown:
        needed = shown.get("required", ())
        for name, part in shown["properties"].items():
            yield from _leaves(f"{path}.{name}", part, definitions, required and name in needed)
    elif shown.get("type") == "object":
        for word in shown["propertyNames"]["enum"]:
            yield Leaf(f"{path}.{word}", "integer", False)
    else:
        words = tuple(shown.get("enum") or ([shown["const"]] if "const" in shown else []))
        yield Leaf(path, _kind(shown), required, words)


def _kind(shown: Mapping[str, Any]) -> Kind:
    match shown.get("type"):
        case "integer":
            return "integer"
        case "boolean":
            return "boolean"
        case "array":
            return "list"
    return "date" if shown.get("format") == "date" else "text"
