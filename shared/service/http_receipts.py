"""HTTP routes of a domain service that answer what became of reports: of one, or of up to a thousand at once."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import orjson
from fastapi import APIRouter, Request, Response

from shared.contract.events import ReportKey
from shared.contract.messages import FactToRecord, PairsReceipts, Receipt, RecordedReport, ReportPairs
from shared.http.access import caller_of
from shared.http.openapi import problem_response, request_body
from shared.http.problems import Problem
from shared.log.event_store import EventStore
from shared.service.http_door import NOT_NOW, IdNamed, SourceNamed, answer_of, read_body

MOST_PAIRS: Final = 1000
LARGEST_QUERY: Final = 1024 * 1024
NEVER_RECEIVED: Final = Problem(404, "没有收到过这个编号的报告。", "No report of this source and id was received here.")
_NO_PAIRS: Final = Problem(
    422,
    '请求体应为 {"pairs": [{"source": …, "id": …}, …]}。',
    'The body must be {"pairs": [{"source": …, "id": …}, …]}.',
)
_TOO_MANY: Final = Problem(413, f"每次最多问 {MOST_PAIRS} 对。", f"At most {MOST_PAIRS} pairs can be asked for.")
PAIRS: Final = request_body({"application/json": ReportPairs})
NOT_RECORDED: Final = Problem(
    404,
    "没有记下这份报告:没有收到过、被退回,或还在等待。",
    "Nothing is recorded of this report: it was never received, was refused, or waits.",
)
SAID_OF_REPORT: Final = (
    "受理的报告所记下的内容,不含个人;更正、终止等后续报告由此填起。\n\n"
    "What is recorded of a report that was accepted, without persons: corrections, ends and whatever follows begin from"
    " it."
)
SAID_OF_QUERY: Final = (
    f"一次问最多 {MOST_PAIRS} 对 `source` 与 `id`;答复按次序,没有收到过的 `receipts` 为空。\n\n"
    f"Up to {MOST_PAIRS} pairs of `source` and `id` at once; answered in their order, with no `receipts` where"
    " none was received."
)


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    id: str


class _Pairs(msgspec.Struct, forbid_unknown_fields=True):
    pairs: list[_Pair]


_pairs: Final = msgspec.json.Decoder(_Pairs)


async def read_pairs(request: Request) -> list[ReportKey]:
    """Return the pairs of source and id in a request's body; raises Problem, also where the key covers not all."""
    try:
        pairs = _pairs.decode(await read_body(request, LARGEST_QUERY)).pairs
    except msgspec.DecodeError:
        raise _NO_PAIRS from None
    if len(pairs) > MOST_PAIRS:
        raise _TOO_MANY
    caller = caller_of(request)
    for pair in pairs:
        caller.must_cover(pair.source)
    return [(pair.source, pair.id) for pair in pairs]


def _impersonal(fact: bytes) -> FactToRecord:
    """Return what a fact says, without who it is about."""
    recorded = orjson.loads(fact)
    return {
        "type": recorded["type"],
        "subject": recorded["subject"],
        "district": recorded["district"],
        "time": recorded["time"],
        "data": {name: value for name, value in recorded["data"].items() if name != "person"},
    }


async def _receipt_of(store: EventStore, request: Request, source: str, id_: str) -> bytes | None:
    caller_of(request).must_cover(source)
    return None if "\x00" in source + id_ else await answer_of(store.receipt(source, id_))


def _queried(pairs: Sequence[ReportKey], stored: Mapping[ReportKey, bytes]) -> Response:
    results = [
        {"source": source, "id": id_, "receipts": [orjson.Fragment(receipt)] if receipt else []}
        for source, id_ in pairs
        for receipt in (stored.get((source, id_)),)
    ]
    return Response(orjson.dumps({"results": results}), media_type="application/json")


def router_of(store: EventStore) -> APIRouter:
    """Return the routes, for the log of one service."""
    router = APIRouter()

    @router.get(
        "/v1/receipts",
        summary="一份报告的回执 The receipt of a report as it stands now",
        description=(
            "以报告的 `source` 与 `id` 查询;等待的报告后来有了结果,回执随之更新(RULES A18)。\n\n"
            "By the report's `source` and `id`; the receipt of one that waited says what has become of it (RULES A18)."
        ),
        response_model=Receipt,
        responses={
            404: {"description": "没有收到过 No such report was received here"},
            422: {"description": "缺少参数 A parameter is missing"},
            503: NOT_NOW,
        },
    )
    async def get_receipt(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        receipt = await _receipt_of(store, request, source, id)
        if receipt is None:
            raise NEVER_RECEIVED
        return Response(receipt, media_type="application/json")

    @router.get(
        "/v1/receipts/report",
        summary="一份报告所报的内容 What a report said",
        description=SAID_OF_REPORT,
        response_model=RecordedReport,
        responses={
            404: problem_response(NOT_RECORDED, "没有记下 Nothing is recorded"),
            422: {"description": "缺少参数 A parameter is missing"},
            503: NOT_NOW,
        },
    )
    async def get_report(request: Request, source: SourceNamed, id: IdNamed) -> Response:
        receipt = await _receipt_of(store, request, source, id)
        place = orjson.loads(receipt) if receipt else {}
        if place.get("status") != "accepted":
            raise NOT_RECORDED
        facts = await answer_of(store.because_of((source, id), place["stream"], place["version"]))
        if not facts:
            raise NOT_RECORDED
        own, *decided = map(_impersonal, facts)
        return Response(orjson.dumps({**own, "decided": decided}), media_type="application/json")

    @router.post(
        "/v1/receipts/query",
        summary="许多报告的回执 The receipts of many reports",
        description=SAID_OF_QUERY,
        openapi_extra=PAIRS,
        response_model=PairsReceipts,
        responses={
            413: {"description": "过大或过多 Too large, or too many pairs"},
            422: {"description": "请求体不正确 Another body is expected"},
            503: NOT_NOW,
        },
    )
    async def query_receipts(request: Request) -> Response:
        pairs = await read_pairs(request)
        stored = await answer_of(store.receipts_of([pair for pair in pairs if "\x00" not in "".join(pair)]))
        return _queried(pairs, stored)

    return router
