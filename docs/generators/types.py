"""docs/types.md and a page a service below it: every type with its subject, its fields and an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic.json_schema import JsonSchemaValue

from docs.generators.catalogue import LANGUAGES, ROOT, Catalogue, IncompleteError
from docs.generators.markdown import anchor, render, table
from docs.generators.schemas import described
from shared.contract.events import Adds, Ends, Event, Language, Opens, Retracts, Stands

_INTRODUCTIONS: Final = {
    "planning": "\n计划办公室的语言,与各区、县(市)上报的事实分开;见 [planning.md](../planning.md)。 "
    "The plan office's own language, apart from what districts report; see [planning.md](../planning.md).\n",
}


def types(catalogue: Catalogue) -> str:
    """Return docs/types.md, the list of all types; raises IncompleteError for a name that docs/words.yaml lacks."""
    services = {language.service: _types_of(catalogue, language) for language in LANGUAGES}
    return render("types.md", services=services)


def service_types(language: Language, catalogue: Catalogue) -> str:
    """Return docs/types/<service>.md, the types of one service; raises IncompleteError as `types` does."""
    service = language.service
    introduction = _INTRODUCTIONS.get(service, "")
    return render("service_types.md", service=service, introduction=introduction, types=_types_of(catalogue, language))


def _types_of(catalogue: Catalogue, language: Language) -> list[Mapping[str, object]]:
    return [_described(catalogue, language, event) for event in language.versions]


def _described(catalogue: Catalogue, language: Language, event: type[Event]) -> Mapping[str, object]:
    """Return what the template says of one type."""
    name = f"{language.service}.{event.type_name}"
    versioned = f"{language.service}.{event.versioned_name()}"
    heading = versioned if event.sunset else name
    known = catalogue.terms
    zh, _, en = " ".join(described(language, event).split("\n\n")[0].split()).partition(": ")
    schema = event.model_json_schema()
    unnamed = [f"field {field}" for field in schema.get("properties", {}) if field not in known["fields"]]
    unnamed += [f"word {word}" for word in _enumerated(schema) if word[:1].isalpha() and word not in known["values"]]
    if not zh or unnamed:
        raise IncompleteError(f"{name}: not in docs/words.yaml: {', '.join(unnamed) or 'the type'}")
    required = schema.get("required", [])
    rows = [
        [
            f"`{field}`{'' if field in required else ' ?'}",
            known["fields"][field],
            _form(form, schema.get("$defs", {}), known["values"]),
        ]
        for field, form in schema.get("properties", {}).items()
    ]
    sample = ROOT / "tests" / "contract" / "samples" / f"{versioned}.json"
    return {
        "name": heading,
        "anchor": anchor(heading),
        "type": language.type_of(event),
        "schema": f"{versioned}.json",
        "sunset": event.sunset,
        "newest": {"name": name, "anchor": anchor(name)} if event.sunset else None,
        "has_former": event.former is not None,
        "zh": zh,
        "en": en,
        "subject": event.subject,
        "role": _role(event),
        "dated": event.dated or "time",
        "indicators": [indicator.id for indicator in catalogue.indicators_of(name)],
        "codes": [] if event.decision else catalogue.codes_for(name),
        "fields": table(["字段 Field", "含义", "取值 Value"], rows),
        "example": json.dumps(json.loads(sample.read_text(encoding="utf-8")), ensure_ascii=False)
        if sample.exists()
        else None,
    }


def _enumerated(schema: object) -> Iterator[str]:
    """Yield every word that a schema enumerates."""
    if isinstance(schema, list):
        for item in schema:
            yield from _enumerated(item)
    elif isinstance(schema, dict):
        yield from schema.get("enum", ())
        if "const" in schema:
            yield schema["const"]
        for item in schema.values():
            yield from _enumerated(item)


def _role(event: type[Event]) -> str:
    role = event.role
    if event.decision:
        return "服务自行作出的决定,不能报告 decided by the service itself, never reported"
    match role:
        case Opens():
            again = "结束后可再开始 may open anew after an end" if role.again else "只有一次 only once"
            return f"开始其 subject starts its subject; {again}"
        case Ends():
            undone = ",且不计入任何期间 and takes it out of every period" if role.voids else ""
            return f"结束 ends `{role.opening}`{undone}"
        case Stands():
            return "后报的取代先前的 the latest stands"
        case Adds():
            to = f",在 `{role.to}` 之后 once `{role.to}` stands" if role.to else ""
            return f"可重复 may repeat{to}"
        case Retracts():
            return "撤回一份报告 takes a report back"


def _form(schema: JsonSchemaValue, definitions: JsonSchemaValue, values: Mapping[str, str]) -> str:
    """Return the form of a field in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        known = {"Organisation": "机构 organisation", "Person": "个人 person"}
        if name in known:
            return known[name]
        inner = definitions[name]["properties"].items()
        return "{" + ", ".join(f"`{field}`: {_form(part, definitions, values)}" for field, part in inner) + "}"
    if "anyOf" in schema:
        if any(part.get("type") == "number" for part in schema["anyOf"]):
            return _quantity(schema["anyOf"])
        return _form(next(part for part in schema["anyOf"] if part.get("type") != "null"), definitions, values)
    if "const" in schema or "enum" in schema:
        enumerated = schema.get("enum") or [schema["const"]]
        return ", ".join(f"`{word}` {values.get(word, '')}".rstrip() for word in enumerated)
    match schema.get("type"):
        case "array":
            return f"[{_form(schema['items'], definitions, values)}, …]"
        case "object" if "propertyNames" not in schema:
            return "对象 object"
        case "object":
            return (
                f"{{{_form(schema['propertyNames'], definitions, values)}: {_number(schema['additionalProperties'])}}}"
            )
        case "boolean":
            return "true, false"
        case "integer":
            return _number(schema)
    if schema.get("format") == "date":
        return "日期 date"
    return f"`{schema['pattern'].strip('^$')}`".replace("|", "\\|") if "pattern" in schema else "文字 text"


def _quantity(parts: Sequence[JsonSchemaValue]) -> str:
    return "数 number" + (" ≥ 0" if all(part.get("minimum", 0) == 0 for part in parts) else "")


def _number(schema: JsonSchemaValue) -> str:
    if "anyOf" in schema:
        return _quantity(schema["anyOf"])
    return "整数 integer " + ("> 0" if schema.get("exclusiveMinimum") == 0 else f"≥ {schema.get('minimum', 0)}")
