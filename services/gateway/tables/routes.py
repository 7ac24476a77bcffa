"""`POST /v1/tables/…`: a table read and checked before anything of it is sent, or marked; nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from client.output import CommandError
from services.gateway.tables.messages import CheckedTable, DroppedTable
from services.gateway.tables.reading import LARGEST_FILE, marked, read
from shared.http.problems import Problem
from shared.plan.model import Plan

_LARGEST_BODY: Final = LARGEST_FILE * 4 // 3 + 4 * 1024 * 1024  # in base64, with what was mended
_AT_ONCE: Final = 2
_IN_MEMORY: Final = 8
_WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
T = TypeVar("T")
_TOO_LARGE: Final = Problem(
    413,
    f"文件超过 {LARGEST_FILE // 1024 // 1024} MB,不予读取,请分成几张表。",
    f"The file is larger than {LARGEST_FILE // 1024 // 1024} MB and is not read: split it into several tables.",
)


def router_of(plans: Sequence[Plan]) -> APIRouter:
    """Return the routes, for these plans; they are the page's own and promised to no program."""
    router = APIRouter(include_in_schema=False)
    room, free = asyncio.Semaphore(_IN_MEMORY), asyncio.Semaphore(_AT_ONCE)
    codes = {code for plan in plans for code in (*plan.district_codes, *plan.former_codes)}

    async def of(request: Request, make: Callable[[DroppedTable, Sequence[Plan]], T]) -> T:
        async with room:
            body = await _body(request)
            async with free:
                return await asyncio.to_thread(made, body, make)

    def made(body: bytes, make: Callable[[DroppedTable, Sequence[Plan]], T]) -> T:
        dropped = _dropped(body)
        if dropped.district not in codes:
            raise Problem(422, "计划中没有这个区划代码。", "No plan has this district.")
        try:
            return make(dropped, plans)
        except CommandError as error:
            raise Problem(422, error.zh, error.en) from None

    @router.post("/v1/tables/check")
    async def check_table(request: Request) -> CheckedTable:
        return await of(request, read)

    @router.post("/v1/tables/marked")
    async def mark_table(request: Request) -> Response:
        return Response(await of(request, marked), media_type=_WORKBOOK)

    return router


def _dropped(raw: bytes) -> DroppedTable:
    try:
        return DroppedTable.model_validate_json(raw)
    except ValidationError as error:
        names = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors(include_input=False) if fault["loc"]}))
        raise Problem(
            422, f"请求的内容不正确:{names or 'JSON'}。", f"The request is not as expected: {names or 'JSON'}."
        ) from None


async def _body(request: Request) -> bytes:
    """Return the body; raises Problem as soon as more has come than any table takes."""
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > _LARGEST_BODY:
        raise _TOO_LARGE
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_BODY:
            raise _TOO_LARGE
        parts.append(part)
    return b"".join(parts)
