"""Serves the contract to machines: the AsyncAPI document and the JSON Schema of every report and fact."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import yaml
from fastapi import FastAPI
from fastapi import Path as Named
from starlette.responses import FileResponse, Response

from shared.http.openapi import problem_response
from shared.http.problems import Problem

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_SCHEMA: Final = re.compile(r"[a-z]+\.[a-z0-9-]+\.v[1-9][0-9]*\.json")


_NOTHING: Final = Problem(404, "没有这个文件。", "There is no such file.")
_MAY_LACK: Final[dict[int | str, dict[str, Any]]] = {
    404: problem_response(_NOTHING, "没有这个文件 There is no such file")
}


def add_contract(app: FastAPI, docs: Path = DOCS) -> None:
    """Add `/asyncapi.yaml`, `/schemas` and `/schemas/<service>.<name>.v<n>.json`; open to everybody, as the API's own
    description is."""

    @app.get(
        "/asyncapi.yaml",
        tags=["contract"],
        summary="各主题与消息 Topics and messages, as AsyncAPI 3",
        description="Kafka 一侧的接口文档。\n\nThe document of the Kafka side.",
        responses=_MAY_LACK,
        response_class=Response,
    )
    async def get_asyncapi() -> Response:
        return _file(docs / "asyncapi.yaml", "application/yaml")

    @app.get(
        "/v1/types",
        tags=["contract"],
        summary="各类报告与事实的名称 What each type of report and fact is called",
        description="按完整类型名给出中英文短名。\n\nShort names in both languages by the full name of the type.",
    )
    async def get_types() -> Response:
        return Response(orjson.dumps({"types": _names(docs)}), media_type="application/json")

    @app.get(
        "/schemas",
        tags=["contract"],
        summary="全部 JSON Schema 的名称 The names of all JSON Schemas",
        description="每种报告和事实一个文件。\n\nOne file for each type of report and fact.",
    )
    async def get_schemas() -> Response:
        names = sorted(file.name for file in (docs / "events").glob("*.json"))
        return Response(orjson.dumps({"schemas": names}), media_type="application/json")

    @app.get(
        "/schemas/{name}",
        tags=["contract"],
        summary="一种报告或事实的 JSON Schema of one type",
        description="JSON Schema 2020-12,供校验与生成代码。\n\nJSON Schema 2020-12, to check by and to generate from.",
        responses=_MAY_LACK,
        response_class=Response,
    )
    async def get_schema(name: Annotated[str, Named(description="文件名 the file's name")]) -> Response:
        if not _SCHEMA.fullmatch(name):
            raise _NOTHING
        return _file(docs / "events" / name, "application/schema+json")


@cache
def _names(docs: Path) -> dict[str, dict[str, str]]:
    """Return what each type is called: its description's first word in Chinese, else what docs/words.yaml says."""
    file = docs / "words.yaml"
    words = yaml.safe_load(file.read_text(encoding="utf-8"))["types"] if file.is_file() else {}
    names = {}
    for schema in sorted((docs / "events").glob("*.json")):
        problem_response = orjson.loads(schema.read_bytes())
        short = schema.name.rsplit(".", 2)[0]
        plain = short.partition(".")[2]
        called = str(problem_response.get("description", "")).partition(": ")[0]
        if called.isascii() or "\n" in called:
            called = words.get(short) or words.get(plain) or short
        names[str(problem_response["title"])] = {"zh": called, "en": plain.replace("-", " ").capitalize()}
    return names


def _file(file: Path, media_type: str) -> Response:
    if not file.is_file():
        raise _NOTHING
    return FileResponse(file, media_type=media_type, headers={"Cache-Control": "no-cache"})
