"""OpenAPI documents: what the routes declare, completed by recorded responses as examples."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypeForm

from shared.contract.cloudevents import JsonObject
from shared.http.access import NO_KEY, NOT_ALLOWED, is_open, too_often
from shared.http.problems import Problem

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "docs" / "api"
PROBLEM: Final = "application/problem+json"
_EVERYWHERE: Final = {
    401: ("没有密钥,或密钥不可用 No key, or none that is valid", NO_KEY),
    403: ("密钥没有这项权限 The role of the key does not allow this", NOT_ALLOWED),
    429: (
        "超过密钥的速率上限,按 Retry-After 重发 More than the key's rate allows; again after Retry-After",
        too_often(2),
    ),
}
_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457;title、detail 依 Accept-Language,未言明则中英文并列;不引用所提交的内容 title and detail "
    "in the language of Accept-Language, in both where it says neither; never quotes what was sent",
    "required": ["type", "status", "title", "detail", "zh", "en"],
    "properties": {"type": _TEXT, "status": {"type": "integer"}, "title": _TEXT, "detail": _TEXT, "zh": _TEXT,
                   "en": _TEXT},
}  # fmt: skip
_SCHEMAS: Final = "#/components/schemas/"
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")
_INTRODUCTION: Final = (
    "凡错误均为 problem+json,中英文并列。设了密钥时以 `Authorization: Bearer` 出示。有 ETag 的答复可用 If-None-Match "
    "再问,未变则 304。分页:把 `next` 作为 `after` 再问。示例取自演示数据的真实答复。\n\n"
    "Every error is problem+json in both languages. Where keys are set, show yours as `Authorization: Bearer`. Ask "
    "again for an answer that has an ETag with If-None-Match: 304 while nothing has changed. Pages: ask again with "
    "`after` = `next`. The examples are real answers about the demo feed."
)
Node = JsonObject
Responses = dict[int | str, Node]  # as FastAPI takes them, by status


def problem_response(problem: Problem, description: str) -> Node:
    """Return how a route declares that it may answer with a problem."""
    return {"description": description, "content": {PROBLEM: {"example": orjson.loads(problem.body())}}}


def request_body(models: Mapping[str, TypeForm[object]], required: bool = True) -> Node:
    """Return `openapi_extra` for a route that reads its body itself; the model of each content type becomes named."""
    content = {media: {"schema": _schema_of(model)} for media, model in models.items()}
    return {"requestBody": {"required": required, "content": content}}


def problem_model(model: type[BaseModel], description: str) -> Node:
    """Return how a route declares a problem that says more than others do; the model becomes a named schema."""
    return {"description": description, "content": {PROBLEM: {"schema": _schema_of(model)}}}


def _schema_of(model: TypeForm[object]) -> Node:
    return TypeAdapter(model).json_schema(ref_template=f"{_SCHEMAS}{{model}}")


def describe(app: FastAPI, name: str) -> None:
    """Complete `/openapi.json` with the recorded responses in a file of this name, where there is one."""
    plain = app.openapi

    @cache
    def document() -> Node:
        file = EXAMPLES / f"{name}.json"
        return _completed(plain(), orjson.loads(file.read_bytes()) if file.is_file() else {})

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: Node, examples: Mapping[str, Node]) -> Node:
    document["info"]["description"] = _INTRODUCTION
    parts = document.setdefault("components", {})
    schemas = {name: schema for name, schema in parts.get("schemas", {}).items() if name not in _NOT_OURS}
    parts["schemas"] = schemas | {"Problem": _PROBLEM}
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            problems = [response.get("content", {}).get(PROBLEM, {}) for response in operation["responses"].values()]
            for content in (*operation.get("requestBody", {}).get("content", {}).values(), *problems):
                if content.get("schema", {}).keys() & {"title", "$defs"}:
                    content["schema"] = _named(content["schema"], parts["schemas"])
            _complete(operation, examples.get(f"{method.upper()} {path}", {}), is_open(path))
    return document


def _named(schema: Node, schemas: Node) -> Node:
    """Move a model's schema, and those that it refers to, to the document's named schemas; return what refers to it."""
    own = {name: value for name, value in schema.items() if name != "$defs"}
    schemas |= schema.get("$defs", {})
    if "title" not in own:  # a list of a model, or one that refers to itself
        return own
    schemas[own["title"]] = own
    return {"$ref": f"{_SCHEMAS}{own['title']}"}


def _complete(operation: Node, seen: Node, open_: bool) -> None:
    responses: Node = operation["responses"]
    if responses.get("422", {}).get("description") == "Validation Error":  # FastAPI's own form, which is not ours
        del responses["422"]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in seen.get("parameters", {}):
            parameter["example"] = seen["parameters"][parameter["name"]]
    for media, examples in seen.get("requests", {}).items():
        operation["requestBody"]["content"][media]["examples"] = examples
    for status, content in seen.get("answers", {}).items():
        declared = responses.setdefault(status, {"description": ""})
        modelled = declared.get("content", {})
        declared["content"] = {
            media: example | ({"schema": schema} if (schema := modelled.get(media, {}).get("schema")) else {})
            for media, example in content.items()
        }
    if "etag" in seen:
        responses["304"] = {"description": "自所示 ETag 以来未变 Nothing has changed since the ETag shown"}
    if not open_:
        operation["security"] = [{"key": []}]
        for number, (description, problem) in _EVERYWHERE.items():
            responses.setdefault(str(number), problem_response(problem, description))
    for response in responses.values():
        content = response.get("content", {}).get(PROBLEM)
        if content is not None and "$ref" not in content.get("schema", {}):  # but for a problem that says more
            content["schema"] = {"$ref": f"{_SCHEMAS}Problem"}
    operation["responses"] = dict(sorted(responses.items()))
