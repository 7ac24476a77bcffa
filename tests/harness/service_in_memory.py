"""One service's command handler over the log in memory, without an event loop of the test's own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import orjson

from services.catalogue import DOMAIN_SERVICES
from shared.contract.decoder import Channel
from shared.deciding import receipts
from shared.deciding.facts import decode_fact
from shared.log.event_store import ReceiptRow, Recorded
from shared.log.sealing import Seal
from shared.plan.loading import load_plans
from shared.plan.model import Plan
from shared.service.command_handler import CommandHandler, Preview
from tests.conftest import ROOT
from tests.harness.in_memory_log import InMemoryLog
from tests.harness.languages import decoder

_RECEIVED: Final = datetime(2025, 1, 1, tzinfo=UTC)
ReportFields = dict[str, Any]
Receipt = dict[str, Any]


@cache
def _plans() -> list[Plan]:
    return list(load_plans(ROOT / "plans"))


class ServiceInMemory:
    """Reports in, receipts and facts out."""

    def __init__(self, service: str, **of_domain: Any) -> None:
        """`of_domain`: other fields of the service's domain."""
        self._log = InMemoryLog()
        self._handler = CommandHandler(
            decoder(service),
            replace(DOMAIN_SERVICES[service].domain(_plans()), **of_domain),
            self._log,
            Seal(b"s" * 32),
            DOMAIN_SERVICES[service].heard,
        )
        self._service = service
        self._heard: dict[str, int] = {}

    def restore(self, facts: Sequence[dict[str, Any]]) -> None:
        """Begin with a log that is there already, each fact an accepted report's."""
        asyncio.run(self._restore(facts))

    async def _restore(self, facts: Sequence[dict[str, Any]]) -> None:
        domain, language = self._handler.domain, DOMAIN_SERVICES[self._service].language
        async with self._log.transaction() as transaction:
            (head, _), recorded = await transaction.head(), Recorded()
            for envelope in facts:
                fact = decode_fact({self._service: language}, envelope, ())
                fact.tags = tuple(domain.tags(fact.event))
                report = fact.as_report(b"", fact.recorded_at)
                receipt = receipts.decided(report, self._service, fact.recorded_at, fact)
                number = len(recorded.receipts) + 1
                recorded.facts.append(fact)
                recorded.receipts.append(ReceiptRow(number, report.source, report.id, 1, b"", report.district, receipt))
            head.position, head.receipts = len(recorded.facts), len(recorded.receipts)
            await transaction.append(recorded, head)

    def send(self, *reports: ReportFields, channel: Channel | None = None) -> list[Receipt]:
        """Report in one batch; return the receipts in order."""
        arrived = [self._handler.decoder.decode(sent, channel or Channel(), _RECEIVED) for sent in reports]
        return [orjson.loads(answer.receipt) for answer in asyncio.run(self._handler.handle(arrived))]

    def preview(self, *reports: ReportFields) -> list[Preview]:
        """Ask what one batch would be answered."""
        arrived = [self._handler.decoder.decode(sent, Channel(), _RECEIVED) for sent in reports]
        return asyncio.run(self._handler.preview(arrived))

    def say(self, sent: ReportFields, status: str = "accepted", code: str | None = None) -> Receipt:
        """Report one event and check what becomes of it."""
        receipt = self.send(sent)[0]
        assert (receipt["status"], _codes(receipt)) == (status, [code] if code else []), receipt
        return receipt

    def receipt(self, of: ReportFields) -> Receipt:
        """Return a report's receipt as it stands now."""
        receipt: Receipt = orjson.loads(asyncio.run(self._log.receipt(of["source"], of["id"])) or b"")
        return receipt

    def now(self, of: ReportFields) -> tuple[str, list[str], list[str]]:
        """Return a report's status, the codes of its reasons and its flags as they stand now."""
        receipt = self.receipt(of)
        return receipt["status"], _codes(receipt), receipt["flags"]

    def receipts(self) -> list[Receipt]:
        """Return all receipts in their order."""
        return [orjson.loads(raw) for _, raw in asyncio.run(self._log.receipts())]

    def facts(self) -> list[dict[str, Any]]:
        """Return the whole log."""
        return [orjson.loads(raw) for raw in self._raw()]

    def hear(self, other: "ServiceInMemory") -> None:
        """Hear what another service has recorded since the last time."""
        raws = other._raw()[self._heard.get(other._service, 0) :]
        facts = [self._handler.decode_heard(other._service, raw) for raw in raws]
        self._heard[other._service] = asyncio.run(self._handler.hear(other._service, facts))

    def _raw(self) -> Sequence[bytes]:
        return asyncio.run(self._log.log(0, 100_000))


def _codes(receipt: Receipt) -> list[str]:
    return [reason["code"] for reason in receipt["reasons"]]
