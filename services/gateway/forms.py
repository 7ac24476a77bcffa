"""`GET /v1/forms`: every type of report as a form, made from its JSON Schema and the words there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, cast

from fastapi import APIRouter, Response
from pydantic import BaseModel, JsonValue

from client.fields import event_of, fields_of, reported_types
from client.template import OF_SUBJECT
from client.terms import field_name, value_names
from services.catalogue import COUNTED
from services.gateway.tables.columns import title_of
from services.gateway.tables.messages import PageText
from shared.contract.events import PLACEHOLDER, Adds, Ends, Event, Opens, Retracts
from shared.contract.shapes import IdentifiedPerson
from shared.http.openapi import Node
from shared.http.problems import Problem

_CACHED: Final = {"cache-control": "private, max-age=300"}
_NO_FORM: Final = Problem(404, "没有这种报告类型。", "There is no such type of report.")
_YUAN: Final = (("(分)", "(元)"), ("(分)", "(元)"))


class FormName(BaseModel):
    """A type that has a form; `follows`: the types of what it may go on from, on the same subject."""

    type: str
    service: str
    name: PageText
    follows: list[str]
    whole_only: bool


class FormNames(BaseModel):
    """Every type that has a form."""

    forms: list[FormName]


class FormTexts(BaseModel):
    """What a form's fields and values are called: a `uiSchema` of react-jsonschema-form in each language."""

    zh: dict[str, JsonValue]
    en: dict[str, JsonValue]


class ReportForm(BaseModel):
    """A type's form: the JSON Schema of `subject` (the parts that stand in no data), `on` and `data`.

    `subject`: the template, each `<path>` a path into the form or the district. `dated`: the field of the data with
    the report's date, none where `on` has it. `personal`: paths of what a browser must not keep.
    """

    type: str
    name: PageText
    subject: str
    dated: str | None
    personal: list[str]
    form: dict[str, JsonValue]
    texts: FormTexts


def router_of() -> APIRouter:
    """Return the routes of the forms; they are the page's own and promised to no program."""
    router = APIRouter(include_in_schema=False)

    @router.get("/v1/forms")
    async def get_forms(response: Response) -> FormNames:
        response.headers.update(_CACHED)
        return form_names()

    @router.get("/v1/forms/{type_}")
    async def get_form(type_: str, response: Response) -> ReportForm:
        if type_ not in {form.type for form in form_names().forms}:
            raise _NO_FORM
        response.headers.update(_CACHED)
        return form_of(type_)

    return router


@cache
def form_names() -> FormNames:
    """Return every type that districts report, with what it goes on from."""
    events = {type_: event for type_ in reported_types() if (event := event_of(type_)) is not None}
    counted = {type_: event for type_, event in events.items() if type_.split(".")[1] in COUNTED}
    return FormNames(
        forms=[
            FormName(
                type=type_,
                service=type_.split(".")[1],
                name=_title(type_),
                follows=[other for other, opening in counted.items() if _goes_on(type_, event, other, opening)],
                whole_only=event.whole_only is not None,
            )
            for type_, event in counted.items()
        ]
    )


def _goes_on(type_: str, event: type[Event], other: str, opening: type[Event]) -> bool:
    """Tell whether a report of a type may follow one of another on its subject, so that it begins from there."""
    if type_.split(".")[1] != other.split(".")[1] or event.subject != opening.subject or not event.subject:
        return False
    return isinstance(event.role, Ends | Adds) and isinstance(opening.role, Opens)


def _title(type_: str) -> PageText:
    zh, en = title_of(type_)
    return PageText(zh=zh, en=en.capitalize())


@cache
def form_of(type_: str) -> ReportForm:
    """Return the form of a type that districts report; raises LookupError for another."""
    event = event_of(type_)
    if event is None:
        raise LookupError(type_)
    data = event.model_json_schema()
    definitions = dict(data.get("$defs", {}))
    if event.has_person:
        definitions["Person"] = IdentifiedPerson.model_json_schema()
    fields = fields_of(event)
    own = {member: member.replace(".", "-") for member in event.subject_paths if _is_own(member, fields)}
    parts: Node = {key: {"type": "string"} for key in own.values()}
    if not event.subject:  # of a retraction: that of what it takes back, whole
        parts = {"whole": {"type": "string"}}
    properties: Node = {}
    if parts:
        properties["subject"] = _object(parts, list(parts))
    if event.dated is None and not isinstance(event.role, Retracts):
        properties["on"] = {"type": "string", "format": "date"}
    properties["data"] = _plain(data, definitions)
    names = {key: _part_name(member) for member, key in own.items()} or {"whole": ("业务编号", "subject")}
    return ReportForm(
        type=type_,
        name=_title(type_),
        subject=PLACEHOLDER.sub(lambda part: f"<{_path(part[1], own)}>", event.subject) or "<subject.whole>",
        dated=event.dated,
        personal=["person"] if event.has_person else [],
        form=_object(properties, list(properties)),
        texts=FormTexts(zh=_texts(properties, names, chinese=True), en=_texts(properties, names, chinese=False)),
    )


def _is_own(member: str, fields: Mapping[str, object]) -> bool:
    return member != "district" and f"data.{member}" not in fields


def _path(member: str, own: Mapping[str, str]) -> str:
    if member == "district":
        return member
    return f"subject.{own[member]}" if member in own else f"data.{member}"


def _part_name(member: str) -> tuple[str, str]:
    return OF_SUBJECT.get(member) or field_name(f"data.{member}"), _english(member)


def _english(path: str) -> str:
    parts = path.replace("_fen", " (yuan)").replace(".", " ").replace("_", " ").split()
    name = " ".join({"id": "ID", "no": "number"}.get(word, word) for word in parts)
    return name[:1].upper() + name[1:]


def _object(properties: Node, required: list[str]) -> Node:
    return {"type": "object", "properties": properties, "required": required}


def _plain(schema: Node, definitions: Mapping[str, Node]) -> Node:
    """Return a schema as a form needs it: references in place, what may be null simply not required, a map's keys
    as properties, one value as a list of one."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return _plain(next(part for part in schema["anyOf"] if part.get("type") != "null"), definitions)
    if "propertyNames" in schema:
        value = _plain(schema["additionalProperties"], definitions)
        return _object(dict.fromkeys(schema["propertyNames"]["enum"], value), [])
    plain = {name: value for name, value in schema.items() if name in _WORDS_OF_FORM}
    if "const" in schema:
        plain["enum"] = [schema["const"]]
    if len(plain.get("enum", ())) == 1:
        plain["default"] = plain["enum"][0]
    if plain.get("default") is None:
        plain.pop("default", None)
    if "items" in schema:
        plain["items"] = _plain(schema["items"], definitions)
    if "properties" in schema:
        plain["properties"] = {name: _plain(part, definitions) for name, part in schema["properties"].items()}
        plain.setdefault("type", "object")
    return plain


_WORDS_OF_FORM: Final = (
    "type", "format", "enum", "default", "required", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum",
)  # fmt: skip


def _texts(properties: Node, parts: Mapping[str, tuple[str, str]], *, chinese: bool) -> dict[str, JsonValue]:
    """Return the `uiSchema` of a form in one language."""
    result: Node = {"data": {"ui:label": False, **dict(_named(properties["data"], (), chinese=chinese))}}
    if "subject" in properties:
        own = {key: {"ui:title": parts[key][0 if chinese else 1]} for key in properties["subject"]["properties"]}
        result["subject"] = {"ui:label": False, **own}
    if "on" in properties:
        result["on"] = {"ui:title": "日期" if chinese else "date"}
    return cast("dict[str, JsonValue]", result)


def _named(schema: Node, path: tuple[str, ...], *, chinese: bool) -> Iterator[tuple[str, JsonValue]]:
    """Yield the entries of a schema's words: its title, the names of its values, and its parts by their names."""
    if path:
        last = path[-1]
        name = field_name(f"data.person.{last}" if path[0] == "person" and len(path) > 1 else f"data.{last}")
        if last.endswith("_fen"):
            for fen, yuan in _YUAN:
                name = name.replace(fen, yuan)
            yield "ui:widget", "yuan"
        yield "ui:title", name if chinese else _english(last)
    if "enum" in schema:
        names = value_names() if chinese else {}
        yield "ui:enumNames", [names.get(value) or str(value).replace("-", " ") for value in schema["enum"]]
    if schema.get("type") == "boolean":
        yield "ui:widget", "radio"
    if "items" in schema:
        yield "items", dict(_named(schema["items"], path, chinese=chinese))
    for name, part in schema.get("properties", {}).items():
        yield name, dict(_named(part, (*path, name), chinese=chinese))
