"""The columns of receipts as a listing to read: in the words of the pages, times in Beijing time."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.projection.contract import type_name
from services.projection.exports.names import NAMES, name_of
from services.projection.exports.sheets import ListingColumn
from services.projection.exports.texts import Language
from shared.contract.messages import Receipt
from shared.contract.remedies import remedy_of


def columns(language: Language) -> Sequence[ListingColumn[Receipt]]:
    """Return the columns."""

    def remedies(receipt: Receipt) -> str:
        remedies_of = (remedy_of(reason["code"]) for reason in receipt["reasons"])
        return _lines(remedy[language] for remedy in remedies_of if remedy)

    return (
        ListingColumn({"zh": "收到(北京时间)", "en": "Received (Beijing time)"}, 20, lambda it: _at(it["received_at"])),
        ListingColumn({"zh": "结果", "en": "Result"}, 12, lambda it: name_of("status", it["status"], language)),
        ListingColumn(NAMES["receipts.type"], 26, lambda it: type_name(it.get("type") or "", language)),
        ListingColumn({"zh": "报告编号", "en": "Report"}, 24, lambda it: it.get("id")),
        ListingColumn({"zh": "事项", "en": "Subject"}, 48, lambda it: it.get("subject")),
        ListingColumn(
            {"zh": "原因", "en": "Why"}, 50, lambda it: _lines(reason[language] for reason in it["reasons"])
        ),
        ListingColumn({"zh": "处理办法", "en": "What to do"}, 50, remedies),
        ListingColumn({"zh": "正在等待", "en": "Waits for"}, 24, lambda it: it.get("waits_for")),
        ListingColumn(
            {"zh": "标记", "en": "Flags"}, 24,
            lambda it: _lines(name_of("flag", flag, language) for flag in it["flags"]),
        ),
        ListingColumn({"zh": "决定(北京时间)", "en": "Decided (Beijing time)"}, 20, lambda it: _at(it["decided_at"])),
        ListingColumn({"zh": "来源", "en": "Source"}, 36, lambda it: it.get("source")),
        ListingColumn({"zh": "报送凭据", "en": "Reported by"}, 18, lambda it: it.get("reportedby")),
        ListingColumn(NAMES["health.service"], 24, lambda it: name_of("service", it["service"], language)),
        ListingColumn(
            {"zh": "原因代码", "en": "Codes"}, 24, lambda it: _lines(reason["code"] for reason in it["reasons"])
        ),
    )  # fmt: skip


def _at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)
