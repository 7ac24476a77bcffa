"""`/openapi.json` of the gateway: its own routes, those of the services behind it, and the schema of every type."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from fastapi import FastAPI, Request, Response

from services.gateway.tables.columns import title_of
from services.gateway.upstream import PROJECTION, Upstream, headers_of_caller
from shared.contract.cloudevents import BATCH, STRUCTURED
from shared.http.openapi import Node
from shared.http.problems import Problem

PLANNING: Final = "planning"
_TYPES: Final = Path(__file__).resolve().parents[2] / "docs" / "events"
_OF_PLANNING: Final = re.compile(r"/v1/plans/[^/]+/(targets(/workbook)?|months/[^/]+)")
_OK: Final = 200


def service_of(method: str, path: str) -> str:
    """Return who answers a path: planning of changes of a plan, its targets and its months, else the projection."""
    of_planning = (method == "POST" and path.startswith("/v1/plans/")) or _OF_PLANNING.fullmatch(path)
    return PLANNING if of_planning else PROJECTION


def add_description(app: FastAPI, upstream: Upstream) -> None:
    """Serve the description of all that the gateway answers, as far as the services behind it answer now."""

    @app.get("/openapi.json", include_in_schema=False)
    async def get_description(request: Request) -> Response:
        document: Node = orjson.loads(orjson.dumps(app.openapi()))  # a copy: it is completed
        for service in (PROJECTION, PLANNING):
            _add(document, await _described(request, upstream, service), service)
        _name_types(document)
        return Response(orjson.dumps(document), media_type="application/json", headers={"cache-control": "no-cache"})


async def _described(request: Request, upstream: Upstream, service: str) -> Node:
    try:
        answer = await upstream.ask(service, "GET", "/openapi.json", headers_of_caller(request.scope))
    except Problem:
        return {}
    described: Node = orjson.loads(answer.body) if answer.status == _OK else {}
    return described


def _add(document: Node, described: Node, service: str) -> None:
    """Add the routes of a service that the gateway passes on to it, and their schemas."""
    paths: Node = document["paths"]
    for path, operations in described.get("paths", {}).items():
        for method, operation in operations.items():
            if service_of(method.upper(), path) == service:
                paths.setdefault(path, {}).setdefault(method, operation)
    schemas: Node = document["components"]["schemas"]
    for name, schema in described.get("components", {}).get("schemas", {}).items():
        schemas.setdefault(name, schema)


def _name_types(document: Node) -> None:
    """Add schema and example of every type by its name; reported is one of those that districts and the office may."""
    types, parts = _schemas()
    document["components"]["schemas"] |= parts | types
    reported = [name for name, schema in types.items() if "/services/" not in schema["properties"]["source"]["pattern"]]
    choice = {
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in reported],
        "discriminator": {
            "propertyName": "type",
            "mapping": {name: f"#/components/schemas/{name}" for name in reported},
        },
    }
    document["components"]["schemas"]["Report"] = choice
    report = {"$ref": "#/components/schemas/Report"}
    examples = document["components"]["examples"] = {
        name: {"summary": " ".join(title_of(name)), "value": types[name]["examples"][0]} for name in reported
    }
    for path in ("/v1/events", "/v1/validate"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        content[STRUCTURED]["schema"] = report
        content[STRUCTURED]["examples"] |= {name: {"$ref": f"#/components/examples/{name}"} for name in examples}
        content[BATCH]["schema"] = {"type": "array", "maxItems": 1000, "items": report}


@cache
def _schemas() -> tuple[Node, Node]:
    """Return the schema of every type by its name, and of the shapes in them."""
    types: Node = {}
    parts: Node = {}
    for file in sorted(_TYPES.glob("*.json")):
        schema = orjson.loads(file.read_bytes().replace(b'"#/$defs/', b'"#/components/schemas/'))
        parts |= schema.pop("$defs", {})
        types[schema["title"]] = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    return types, parts
