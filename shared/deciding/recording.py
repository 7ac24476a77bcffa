"""What a transaction will write: facts with their positions and versions, and receipts with what they bind."""

import uuid_utils

from shared.contract.cloudevents import JsonObject
from shared.contract.events import Event, Fact, Language, NotUnderstood, Report
from shared.deciding.decider import Domain
from shared.deciding.loading import Loader
from shared.log.event_store import Decided, Head, ReceiptRow, Recorded


class Recorder:
    """Adds facts and receipts to `recorded`; decisions that follow in the same transaction see them in `loader`."""

    def __init__(self, language: Language, domain: Domain, loader: Loader, head: Head, recorded: Recorded) -> None:
        self._language = language
        self._domain = domain
        self._loader = loader
        self._head = head
        self._recorded = recorded

    def fact(
        self,
        report: Report,
        event: Event,
        body: JsonObject,
        corrects: str | None = None,
        cause: Fact | None = None,
    ) -> Fact:
        """Record an event because of a report; `cause`: the fact that led to it, the report itself by default."""
        self._head.position += 1
        service, fact_id = self._language.service, str(uuid_utils.uuid7())
        as_reported = (
            event is report.event
        )  # in the version that it was sent in; what is decided besides, in the newest
        fact = Fact(
            service=service,
            position=self._head.position,
            version=self._loader.facts.version(service, report.subject) + 1,
            id=fact_id,
            type=report.type if as_reported else self._language.type_of(type(event)),
            stream=report.subject,
            district=report.district,
            at=report.at,
            time=report.time,
            recorded_at=self._head.tick(),
            report_source=report.source,
            report_id=report.id,
            event=event,
            body=body,
            tags=tuple(self._domain.tags(event)),
            corrects=corrects,
            correlation_id=report.correlation_id or (cause.correlation_id if cause else fact_id),
            causation_id=cause.id if cause else report.id,
            traceparent=report.traceparent,
            reported_by=report.reported_by,
            sunset=report.sunset if as_reported else None,
        )
        self._recorded.facts.append(fact)
        self._loader.facts.add(fact)
        return fact

    def decision(self, report: Report, receipt: bytes) -> None:
        """Record the receipt of a decision, which is the one in force of its (source, id) from now on."""
        earlier = self._loader.decisions.get(report.key)
        decided = Decided(earlier.decision + 1 if earlier else 1, report.digest, receipt)
        self._loader.decisions[report.key] = decided
        self._receipt(report.source, report.id, decided, report.district, receipt)

    def repeat(self, report: Report, receipt: bytes) -> None:
        """Record the receipt of a report that was decided before; it binds nothing."""
        self._receipt(report.source, report.id, None, report.district, receipt)

    def not_understood(self, item: NotUnderstood, receipt: bytes) -> None:
        """Record the receipt of an event that was not understood; it binds no id (RULES A3)."""
        self._receipt(item.source, item.id, None, item.route, receipt)

    def _receipt(
        self, source: str | None, id_: str | None, decided: Decided | None, district: str | None, receipt: bytes
    ) -> None:
        self._head.receipts += 1
        self._recorded.receipts.append(
            ReceiptRow(
                number=self._head.receipts,
                source=source,
                id=id_,
                decision=decided.decision if decided else None,
                digest=decided.digest if decided else None,
                district=district,
                bytes=receipt,
            )
        )
