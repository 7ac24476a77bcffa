"""Writes the JSON Schema of every type and version into docs/events, and refuses what would break a sender or reader.

`python -m docs.generators.schemas` brings the folder up to date; it stops when a change is more than an addition.
"""

import inspect
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from shared.contract.events import Event, Language, Retracts
from shared.contract.shapes import ID_FORM, IdentifiedPerson
from tests.harness.languages import ALL, SAMPLES, every_type

Schema = dict[str, Any]
FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "events"

_SOURCE: Final = r"^/districts/[0-9]{6}/[A-Za-z0-9._-]{1,40}$"
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def catalogue() -> dict[str, Schema]:
    """Return the schema of every type by the name of its file."""
    return {
        f"{language.service}.{event.versioned_name()}.json": schema(language, event)
        for language, event in every_type(ALL)
    }


def schema(language: Language, event: type[Event]) -> Schema:
    """Return the JSON Schema of a type: of the report as it is sent, or of the fact where the service decides it."""
    data = untitled(event.model_json_schema())
    del data["description"]
    definitions: Schema = data.pop("$defs", {})
    if event.has_person:
        definitions["Person"] = untitled(IdentifiedPerson.model_json_schema())
    name = language.type_of(event)
    source = f"^/services/{language.service}$" if event.decision else _SOURCE
    attributes = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": f"^{ID_FORM}$"},
        "source": {"type": "string", "pattern": source},
        "type": {"const": name},
        "subject": {"type": "string"} | _subject(language, event),
        "time": {"type": "string", "format": "date-time"},
        "district": {"type": "string", "pattern": "^[0-9]{6}$"},
    }
    optional = {"corrects": {"type": "string", "pattern": f"^{ID_FORM}$"}} if _correctable(event) else {}
    sample = SAMPLES / f"{language.service}.{event.versioned_name()}.json"
    has_one = not event.decision and sample.is_file()
    examples = {"examples": [json.loads(sample.read_text(encoding="utf-8"))]} if has_one else {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{name.replace('.', ':')}",
        "$comment": _comment(event),
        "title": name,
        "description": described(language, event),
        "type": "object",
        "properties": attributes | optional | {"data": data},
        "required": [*attributes, "data"],
        **examples,
    } | ({"$defs": definitions} if definitions else {})


def described(language: Language, event: type[Event]) -> str:
    """Return what a type is, in Chinese, a colon, and English; the Chinese from docs/words.yaml where it says none."""
    text = inspect.cleandoc(event.__doc__ or "")
    if not text.partition(": ")[0].isascii():
        return text
    names = _names()
    name = names.get(f"{language.service}.{event.type_name}") or names.get(event.type_name, "")
    return f"{name}: {text}"


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = yaml.safe_load((FOLDER.parent / "words.yaml").read_text(encoding="utf-8"))["types"]
    return names


def _correctable(event: type[Event]) -> bool:
    return not event.decision and not isinstance(event.role, Retracts)


def _subject(language: Language, event: type[Event]) -> Schema:
    forms = {event.subject: event.subject_form} if event.subject else dict(language.subject_forms)
    patterns = sorted(f"^{form.pattern}$" for form in forms.values())
    examples = {"examples": sorted(forms)}
    if len(patterns) == 1:
        return {"pattern": patterns[0]} | examples
    # One by one, so that a new type, with a subject of its own, is seen to be an addition.
    return {"anyOf": [{"pattern": pattern} for pattern in patterns]} | examples


def _comment(event: type[Event]) -> str:
    if event.decision:
        return "服务自行决定的事实,不能报告。 A fact the service decides itself; it cannot be reported."
    if event.has_person:
        return "事实中 person 为 {token, sealed}。 In the fact, person is {token, sealed}."
    return "事实中 data 与报告相同。 In the fact, data is as reported."


def untitled(schema: Any) -> Any:
    """Leave out the titles that pydantic makes of field names; a property of that name stays."""
    if isinstance(schema, list):
        return [untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: untitled(value) for field, value in part.items()} if name == "properties" else untitled(part)
        for name, part in schema.items()
        if name != "title"
    }


def breaks(old: Schema, new: Schema) -> list[str]:
    """Return what a new version of a schema removes or additionally requires, each with its place."""
    return list(_breaks(old, new, old.get("$defs", {}), new.get("$defs", {}), ""))


def _breaks(old: Schema, new: Schema, old_defs: Schema, new_defs: Schema, at: str) -> Iterator[str]:
    old, new = _resolved(old, old_defs), _resolved(new, new_defs)
    if "anyOf" in old or "anyOf" in new:
        for branch in old.get("anyOf", [old]):
            if all([*_breaks(branch, other, old_defs, new_defs, at)] for other in new.get("anyOf", [new])):
                yield f"{at}: a kind of value is gone"
        return
    yield from _value_breaks(old, new, at)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name in after:
            yield from _breaks(before[name], after[name], old_defs, new_defs, f"{at}/{name}")
        else:
            yield f"{at}/{name}: gone"
    if added := set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{at}: asks for {sorted(added)}"
    if dropped := set(old.get("required", ())) - set(new.get("required", ())):
        yield f"{at}: no longer promises {sorted(dropped)}"
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            yield from _breaks(old[name], new[name], old_defs, new_defs, f"{at}/{name}")
        elif old.get(name) != new.get(name):
            yield f"{at}/{name}: changed"


def _value_breaks(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for name in ("type", "format", "pattern", "default"):
        if old.get(name) != new.get(name):
            yield f"{at}: another {name}"
    before, after = _enumerated(old), _enumerated(new)
    if before != after and (before is None or after is None or before - after):
        yield f"{at}: other words"
    for name in (*_LOWER, *_UPPER):
        bound, limit = old.get(name), new.get(name)
        if limit is not None and (bound is None or (limit > bound if name in _LOWER else limit < bound)):
            yield f"{at}: a narrower {name}"


def _enumerated(schema: Schema) -> set[str] | None:
    """Return the words of an enumeration; one of a single word is shown as `const`."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if isinstance(reference, str) else schema


def text(schema: Schema) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def stored(name: str) -> Schema | None:
    """Return the schema that was written last, None when there is none yet."""
    file = FOLDER / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def main() -> int:
    """Write every schema, or say what would break."""
    now = catalogue()
    broken = [f"{name}: {fault}" for name, new in now.items() for fault in breaks(stored(name) or new, new)]
    broken += [f"{file.name}: the type is gone" for file in sorted(FOLDER.glob("*.json")) if file.name not in now]
    if broken:
        sys.stderr.write("".join(f"{line}\n" for line in broken))
        sys.stderr.write("不是新增:请另立版本 v2。 More than an addition: make a version v2.\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in now.items():
        (FOLDER / name).write_text(text(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
