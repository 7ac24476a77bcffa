"""What became of a district's reports: how many a day, a type and an answer, which ones, why, and what to do."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

import asyncpg
import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from services.projection.queries.parameters import RESPONSES
from services.projection.queries.snapshot import SnapshotReader
from shared.contract.remedies import remedy_of
from shared.http.access import caller_of
from shared.http.problems import Problem
from shared.log.event_store import read_queries

_SQL: Final = read_queries("services.projection.receipts", "store.sql")
_STATUSES: Final = ("accepted", "waiting", "refused", "invalid", "misdirected", "duplicate")
_LAST: Final = 2**63 - 1
_CURSOR: Final = re.compile(r"[0-9]{1,18}")
Body = dict[str, Any]


def counted(rows: Iterable[Mapping[str, Any] | asyncpg.Record]) -> Body:
    """Return the counts by day, type, status and code, each the largest or latest first."""
    days: dict[date, Counter[str]] = {}
    types: dict[str, Counter[str]] = {}
    statuses: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for row in rows:
        number = row["reports"]
        days.setdefault(row["day"], Counter())[row["status"]] += number
        types.setdefault(row["type"], Counter())[row["status"]] += number
        statuses[row["status"]] += number
        if row["code"]:
            codes[row["code"]] += number
    return {
        "statuses": dict(statuses.most_common()),
        "days": [{"day": day.isoformat(), "statuses": dict(days[day])} for day in sorted(days, reverse=True)],
        "types": [
            {"type": name or None, "statuses": dict(types[name])}
            for name in sorted(types, key=lambda name: (-types[name].total(), name))
        ],
        "reasons": [{"code": code, "reports": number, "fix": remedy_of(code)} for code, number in codes.most_common()],
    }


def shown(body: str) -> Body:
    """Return a receipt with the fix beside each of its reasons."""
    receipt: Body = orjson.loads(body)
    return receipt | {"reasons": [reason | {"fix": remedy_of(reason["code"])} for reason in receipt["reasons"]]}


def routes(reader: SnapshotReader) -> APIRouter:
    """Return the route that answers for the reports of one district."""
    router = APIRouter(prefix="/v1/districts", tags=["receipts"])

    @router.get(
        "/{district}/receipts",
        summary="各报告的结果 What became of the reports of a district",
        description=(
            "按日、类型、结果、原因计数,并由新到旧列出回执,每条原因附处理办法。翻页:把 `next` 作为 `after` 再查。\n\n"
            "Counts by day, type, status and reason, and the receipts themselves, the latest first, with what to do"
            " about each reason. Next page: ask again with `after` = `next`."
        ),
        responses=RESPONSES | {404: {"description": "没有这个区划代码 No such district"}},
    )
    async def get_district_receipts(
        request: Request,
        district: Annotated[str, Path(description="区划代码 the district's code")],
        status: Annotated[str | None, Query(description=f"结果 one of {', '.join(_STATUSES)}")] = None,
        type: Annotated[str | None, Query(description="报告类型 the type of the report, in full")] = None,
        code: Annotated[str | None, Query(description="原因代码 the code of the first reason")] = None,
        day: Annotated[str | None, Query(description="收到之日 received on, YYYY-MM-DD, Asia/Shanghai")] = None,
        after: Annotated[str | None, Query(description="上一页的 next the page before's `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=500, description="每页几份 how many a page")] = 50,
    ) -> Response:
        caller_of(request).must_cover(f"/districts/{district}/*")  # of a key for one system of it this is too much
        if status is not None and status not in _STATUSES:
            raise Problem(422, "status 不是回执的结果。", "status is no status of a receipt.")
        if after is not None and not _CURSOR.fullmatch(after):
            raise Problem(422, "after 应为上一页的 next。", "after must be the next of the page before.")
        asked = (_known(district), _day(day), _text(type), status, _text(code))
        async with reader.view() as view:
            if district not in {code for plan in view.compiled.plans.values() for code in plan.district_codes}:
                raise Problem(404, "没有这个区划代码。", "There is no such district.")
            counts = counted(await view.connection.fetch(_SQL["counts"], *asked))
            rows = await view.connection.fetch(_SQL["page"], *asked, int(after) if after else _LAST, limit + 1)
        answer = {"district": district, "counts": counts, "receipts": [shown(row["body"]) for row in rows[:limit]]}
        following = str(rows[limit - 1]["number"]) if len(rows) > limit else None
        return Response(orjson.dumps(answer | {"next": following}), media_type="application/json")

    return router


def _known(district: str) -> str:
    return _text(district) or ""


def _text(given: str | None) -> str | None:
    if given is not None and "\x00" in given:
        raise Problem(422, "参数中含有不可用的字符。", "A parameter holds a character that cannot be.")
    return given


def _day(given: str | None) -> date | None:
    if given is None:
        return None
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Problem(422, "day 应为日期 YYYY-MM-DD。", "day must be a date YYYY-MM-DD.") from None


async def heard(connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> int:
    """Return a number that grows with every receipt that was heard."""
    number: int = await connection.fetchval(_SQL["heard"])
    return number
