"""The answer to a report: one body, the same from the API and on the receipts topic (VOCABULARY 2)."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from shared.contract import rules
from shared.contract.events import Fact, NotUnderstood, Report, format_instant
from shared.contract.rules import Rule
from shared.deciding.decider import NamedReport


def _body(
    arrived: Report | NotUnderstood, service: str, status: str, decided_at: datetime, reasons: tuple[Rule, ...] = ()
) -> dict[str, object]:
    named = {
        "source": arrived.source,
        "id": arrived.id,
        "type": arrived.type,
        "subject": arrived.subject,
        "district": arrived.district,
        "reportedby": arrived.reported_by,
    }
    if isinstance(arrived, NotUnderstood):
        named["place"] = arrived.place
    if arrived.sunset:
        named["sunset"] = arrived.sunset.isoformat()
    if None in named.values():
        named = {name: value for name, value in named.items() if value is not None}
    return {
        **named,
        "service": service,
        "status": status,
        "reasons": [rule.reason() for rule in reasons],
        "flags": [],
        "received_at": format_instant(arrived.received_at),
        "decided_at": format_instant(decided_at),
    }


def decided(
    report: Report,
    service: str,
    decided_at: datetime,
    first_fact: Fact | None = None,
    refused: Rule | None = None,
    waits_for: str | None = None,
    corrected_by: str | None = None,
    flags: Sequence[str] = (),
) -> bytes:
    """Return the receipt of a decision: `accepted`, `refused` by a rule, or `waiting`."""
    status = "waiting" if waits_for is not None else "refused" if refused else "accepted"
    body = _body(report, service, status, decided_at, (refused,) if refused else ())
    if first_fact is not None:
        body |= {"position": first_fact.position, "stream": first_fact.stream, "version": first_fact.version}
        body["sha256"] = first_fact.sha256()
    if waits_for is not None:
        body["waits_for"] = waits_for
    if corrected_by is not None:
        body["corrected_by"] = corrected_by
    if flags:
        body["flags"] = list(flags)
    return orjson.dumps(body)


def not_decided(arrived: NotUnderstood, service: str, at: datetime) -> bytes:
    """Return the receipt of what was not understood or not admitted; it binds no id (RULES A3)."""
    return orjson.dumps(_body(arrived, service, arrived.status, at, arrived.reasons))


def repeated(report: Report, service: str, at: datetime, first: bytes, same: bool) -> bytes:
    """Return `duplicate`, or refused `id-reused`, with the first report's receipt inside (RULES A5, A6)."""
    if same:
        body = _body(report, service, "duplicate", at)
    else:
        body = _body(report, service, "refused", at, (rules.IdReused("/id"),))
    return orjson.dumps(body | {"first": orjson.Fragment(first)})


def flagged(receipt: bytes, flag: str, decided_at: datetime) -> bytes:
    """Return a later receipt of the same decision, with a flag."""
    body = orjson.loads(receipt)
    body["flags"] = [*dict.fromkeys([*body["flags"], flag])]
    return orjson.dumps(body | {"decided_at": format_instant(decided_at)})


def unflagged(receipt: bytes, flag: str, decided_at: datetime) -> bytes:
    """Return a later receipt of the same decision, without a flag."""
    body = orjson.loads(receipt)
    body["flags"] = [other for other in body["flags"] if other != flag]
    return orjson.dumps(body | {"decided_at": format_instant(decided_at)})


def named(receipt: bytes) -> NamedReport:
    """Return what a correction or a retraction must know of the report it names."""
    body = orjson.loads(receipt)
    code = body["reasons"][0]["code"] if body["reasons"] else None
    return NamedReport(body["type"], body["subject"], body["status"], code, body.get("corrected_by"))


def received_at(receipt: bytes) -> datetime:
    """Return when the report of a receipt was received."""
    return datetime.fromisoformat(orjson.loads(receipt)["received_at"])
