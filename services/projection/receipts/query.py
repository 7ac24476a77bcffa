"""What became of a district's reports: how many a day, a type and a status, which ones, why, and what to do."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date
from typing import Annotated, Final, TypeVar, get_args

import asyncpg
import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from typing_extensions import TypedDict

from services.projection.assessment.representation import BilingualText, Day
from services.projection.exports.csv import columns_of, csv_file, csv_parts
from services.projection.exports.names import NAMES
from services.projection.exports.sheets import download, listing
from services.projection.exports.spool import spooled
from services.projection.queries.context import context_of
from services.projection.queries.parameters import (
    RESPONSES,
    AfterCursor,
    Lang,
    ListingForm,
    language_of,
    page_of,
    parse_day,
    wrong_cursor,
)
from services.projection.receipts.columns import columns
from services.projection.receipts.store import Connection, ReceiptFilter, counts, page
from shared.contract.cloudevents import JsonObject
from shared.contract.messages import DistrictCode, Instant, Receipt, ReceiptFields, ReceiptReason, ReceiptStatus
from shared.contract.remedies import remedy_of
from shared.http.access import caller_of
from shared.http.problems import Problem

_STATUSES: Final[tuple[str, ...]] = get_args(ReceiptStatus)
_CURSOR: Final = re.compile(r"[0-9]{1,18}")
_PAGE: Final = 50
_READ: Final = 200  # decoded and written at a time, so that no other request waits long
router = APIRouter(prefix="/v1/districts", tags=["receipts"])


class DayCounts(TypedDict):
    """The receipts of a day by status."""

    day: Day
    statuses: dict[ReceiptStatus, int]


class TypeCounts(TypedDict):
    """The receipts of a type of report by status; null where the report had none."""

    type: str | None
    statuses: dict[ReceiptStatus, int]


class ReasonCount(TypedDict):
    """How many receipts have a code as their first reason, and what to do about it."""

    code: str
    reports: int
    fix: BilingualText | None


class ReceiptCounts(TypedDict):
    """Counts of all receipts that are asked for, the largest or latest first."""

    statuses: dict[ReceiptStatus, int]
    days: list[DayCounts]
    types: list[TypeCounts]
    reasons: list[ReasonCount]


class ReasonWithRemedy(ReceiptReason):
    """A reason, and what to do about it."""

    fix: BilingualText | None


class ReceiptWithRemedies(ReceiptFields):
    """The receipt of a report, with what to do about each of its reasons."""

    reasons: list[ReasonWithRemedy]


class DistrictReceipts(TypedDict):
    """The receipts of a district, the latest first, and counts of all."""

    district: DistrictCode
    counts: ReceiptCounts
    receipts: list[ReceiptWithRemedies]
    next: str | None


class TabledReceipt(TypedDict):
    """A receipt as a row of a table; what there are several of stands in one cell."""

    received_at: Instant
    decided_at: Instant
    status: ReceiptStatus
    service: str
    district: DistrictCode | None
    source: str | None
    id: str | None
    type: str | None
    subject: str | None
    reportedby: str | None
    waits_for: str | None
    place: str | None
    flags: list[str]
    codes: list[str]
    pointers: list[str]
    reasons_zh: list[str]
    reasons_en: list[str]


_COLUMNS: Final = columns_of(TabledReceipt)
DecodedReceipt = TypeVar("DecodedReceipt")


def counts_of(rows: Iterable[JsonObject | asyncpg.Record]) -> ReceiptCounts:
    """Return rows of day, type, status, code and number added up by each."""
    days: dict[date, Counter[ReceiptStatus]] = {}
    types: dict[str, Counter[ReceiptStatus]] = {}
    statuses: Counter[ReceiptStatus] = Counter()
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
        "reasons": [{"code": code, "reports": number, "fix": _remedy(code)} for code, number in codes.most_common()],
    }


def with_remedies(body: str) -> ReceiptWithRemedies:
    """Decode a receipt and add to each of its reasons what to do about it."""
    receipt: Receipt = orjson.loads(body)
    reasons: list[ReasonWithRemedy] = [{**reason, "fix": _remedy(reason["code"])} for reason in receipt["reasons"]]
    return {**receipt, "reasons": reasons}


def _receipt(body: str) -> Receipt:
    receipt: Receipt = orjson.loads(body)
    return receipt


def _row(body: str) -> TabledReceipt:
    receipt: Receipt = orjson.loads(body)
    reasons = receipt["reasons"]
    return {
        "received_at": receipt["received_at"],
        "decided_at": receipt["decided_at"],
        "status": receipt["status"],
        "service": receipt["service"],
        "district": receipt.get("district"),
        "source": receipt.get("source"),
        "id": receipt.get("id"),
        "type": receipt.get("type"),
        "subject": receipt.get("subject"),
        "reportedby": receipt.get("reportedby"),
        "waits_for": receipt.get("waits_for"),
        "place": receipt.get("place"),
        "flags": receipt["flags"],
        "codes": [reason["code"] for reason in reasons],
        "pointers": [reason["pointer"] for reason in reasons if "pointer" in reason],
        "reasons_zh": [reason["zh"] for reason in reasons],
        "reasons_en": [reason["en"] for reason in reasons],
    }


async def _rows(
    connection: Connection,
    wanted: ReceiptFilter,
    before: int | None,
    limit: int | None,
    decode: Callable[[str], DecodedReceipt],
) -> AsyncIterator[list[DecodedReceipt]]:
    """Yield the receipts before a number, the latest first: all, or so many."""
    left = limit
    while rows := await page(connection, wanted, before, _READ if left is None else min(left, _READ)):
        yield [decode(row["body"]) for row in rows]
        before = rows[-1]["number"]
        if left is not None:
            left -= len(rows)


def _remedy(code: str) -> BilingualText | None:
    remedy = remedy_of(code)
    return None if remedy is None else {"zh": remedy["zh"], "en": remedy["en"]}


@router.get(
    "/{district}/receipts",
    summary="各报告的结果 What became of the reports of a district",
    description=(
        "按日、类型、结果、原因计数,并由新到旧列出回执,每条原因附处理办法。翻页:把 `next` 作为 `after` 再查。"
        "CSV 和 XLSX 不给 `limit` 时为全部。\n\n"
        "Counts by day, type, status and reason, and the receipts themselves, the latest first, with what to do"
        " about each reason. Next page: ask again with `after` = `next`. As CSV or XLSX all of them, unless `limit` is"
        " given."
    ),
    response_model=DistrictReceipts,
    responses=RESPONSES | {404: {"description": "没有这个区划代码 No such district"}},
)
async def get_district_receipts(
    request: Request,
    district: Annotated[str, Path(description="区划代码 the district's code")],
    status: Annotated[str | None, Query(description=f"结果 one of {', '.join(_STATUSES)}")] = None,
    type: Annotated[str | None, Query(description="报告类型 the type of the report, in full")] = None,
    code: Annotated[str | None, Query(description="原因代码 the code of the first reason")] = None,
    day: Annotated[str | None, Query(description="收到之日 received on, YYYY-MM-DD, Asia/Shanghai")] = None,
    after: AfterCursor = None,
    limit: Annotated[
        int | None, Query(ge=1, le=500, description=f"每页几份,默认 {_PAGE} how many a page; {_PAGE} when left out")
    ] = None,
    form: ListingForm = "json",
    lang: Lang = None,
) -> Response:
    """Respond with a page of a district's receipts."""
    context = context_of(request)
    caller_of(request).must_cover(f"/districts/{district}/*")  # a key for one system of the district is not enough
    if status is not None and status not in _STATUSES:
        raise Problem(422, "status 不是回执的结果。", "status is not a status of a receipt.")
    if after is not None and not _CURSOR.fullmatch(after):
        raise wrong_cursor()
    for text in (district, type, code):
        if text is not None and "\x00" in text:
            raise Problem(422, "参数中含有不可用的字符。", "A parameter holds a character that is not allowed.")
    wanted = ReceiptFilter(district, None if day is None else parse_day("day", day), type, status, code)
    before, most = int(after) if after else None, limit or _PAGE
    async with context.reader.view(exports=form != "json") as view:
        if not any(plan.covers(district) for plan in view.compiled.plans.values()):
            raise Problem(404, "没有这个区划代码。", "There is no such district.")
        if form == "csv":
            receipts = _rows(view.connection, wanted, before, limit, _row)
            return csv_file(await spooled(csv_parts(receipts, _COLUMNS)), f"{district}-receipts.csv")
        if form == "xlsx":
            language = language_of(request, lang)
            listed = _rows(view.connection, wanted, before, limit, _receipt)
            name = f"{NAMES['receipts.list'][language]} {district}"
            file = await listing(listed, columns(language), name, language)
            return download(file, f"{district}-receipts.xlsx")
        tallies = counts_of(await counts(view.connection, wanted))
        rows = await page(view.connection, wanted, before, most + 1)
    current = page_of(rows, most, lambda rows: rows[-1]["number"])
    answer: DistrictReceipts = {
        "district": district,
        "counts": tallies,
        "receipts": [with_remedies(row["body"]) for row in current.rows],
        "next": current.next,
    }
    return Response(orjson.dumps(answer), media_type="application/json")
