"""Serves the contract to machines: the AsyncAPI document and the JSON Schema of every report and fact."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, Response
from typing_extensions import TypedDict

from services.projection.assessment.representation import BilingualText
from shared.http.openapi import Responses, problem_response
from shared.http.problems import Problem

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_SCHEMA: Final = re.compile(r"[a-z]+\.[a-z0-9-]+\.v[1-9][0-9]*\.json")
_NO_FILE: Final = Problem(404, "没有这个文件。", "There is no such file.")
_MAY_LACK: Final[Responses] = {404: problem_response(_NO_FILE, "没有这个文件 There is no such file")}
# Open to everybody, as the API's own description is.
router = APIRouter(tags=["contract"])


class TypeName(BilingualText):
    """The short name of a type, the service that owns it, and where its JSON Schema is."""

    service: str
    schema: str


class TypeNames(TypedDict):
    """Each type of report and fact, by its name in full."""

    types: dict[str, TypeName]


class SchemaNames(TypedDict):
    """The names of the JSON Schemas under `/schemas/`."""

    schemas: list[str]


@router.get(
    "/asyncapi.yaml",
    summary="各主题与消息 Topics and messages, as AsyncAPI 3",
    description="Kafka 一侧的接口文档。\n\nThe document of the Kafka side.",
    responses=_MAY_LACK,
    response_class=Response,
)
async def get_asyncapi() -> Response:
    """Send the AsyncAPI document."""
    return _file(DOCS / "asyncapi.yaml", "application/yaml")


@router.get(
    "/v1/types",
    summary="各类报告与事实的名称 What each type of report and fact is called",
    description=(
        "按完整类型名给出中英文短名、所属服务和 JSON Schema 的地址。\n\n"
        "By the full name of the type: short names in both languages, the service that owns it, and the address of its"
        " JSON Schema."
    ),
    response_model=TypeNames,
)
async def get_types() -> Response:
    """Send the short name of every type."""
    return Response(orjson.dumps({"types": type_names(DOCS)}), media_type="application/json")


@router.get(
    "/schemas",
    summary="全部 JSON Schema 的名称 The names of all JSON Schemas",
    description="每种报告和事实一个文件。\n\nOne file for each type of report and fact.",
    response_model=SchemaNames,
)
async def get_schemas() -> Response:
    """Send the names of the schemas."""
    names = sorted(file.name for file in (DOCS / "events").glob("*.json"))
    return Response(orjson.dumps({"schemas": names}), media_type="application/json")


@router.get(
    "/schemas/{name}",
    summary="一种报告或事实的 JSON Schema of one type",
    description="JSON Schema 2020-12,供校验与生成代码。\n\nJSON Schema 2020-12, to check by and to generate from.",
    responses=_MAY_LACK,
    response_class=Response,
)
async def get_schema(name: Annotated[str, PathParameter(description="文件名 the file's name")]) -> Response:
    """Send one schema."""
    if not _SCHEMA.fullmatch(name):
        raise _NO_FILE
    return _file(DOCS / "events" / name, "application/schema+json")


@cache
def type_names(docs: Path) -> dict[str, TypeName]:
    """Return the name of each type: the Chinese that its description begins with."""
    names: dict[str, TypeName] = {}
    for path in sorted((docs / "events").glob("*.json")):
        schema = orjson.loads(path.read_bytes())
        short = path.name.rsplit(".", 2)[0]
        plain = short.partition(".")[2]
        names[str(schema["title"])] = {
            "zh": str(schema["description"]).partition(": ")[0],
            "en": plain.replace("-", " ").capitalize(),
            "service": short.partition(".")[0],
            "schema": f"/schemas/{path.name}",
        }
    return names


def type_name(code: str, language: Literal["zh", "en"]) -> str:
    """Return what a type is called; an unknown one stands for itself."""
    named = type_names(DOCS).get(code)
    return named[language] if named else code


def _file(file: Path, media_type: str) -> Response:
    if not file.is_file():
        raise _NO_FILE
    return FileResponse(file, media_type=media_type, headers={"Cache-Control": "no-cache"})
