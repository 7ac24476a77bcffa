"""What both processes of a domain service share, and what they publish of its database."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.kafka.names import events_topic
from shared.log.event_store import EventStore, LogHead
from shared.observability.metrics import Metrics, Reading
from shared.observability.tracing import Tracing
from shared.plan.model import Plan
from shared.process.settings import Settings
from shared.service.command_handler import CommandHandler


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one process of a domain service."""

    settings: Settings
    plans: Sequence[Plan]
    store: EventStore
    handler: CommandHandler
    metrics: Metrics
    tracing: Tracing

    @property
    def name(self) -> str:
        """The name of the service."""
        return self.handler.service

    async def ask(self) -> list[Reading]:
        """Read from the database where everything stands; reports the health of the log and of the decisions."""
        row, own = await self.store.watch(), (self.name,)
        self.metrics.health.report("log", _not_compared(self.name, await self.store.head()))
        self.metrics.health.report("decisions", self.handler.metrics.problem)
        left = [
            Reading(f"skillplan_relay_{what}", max(0.0, row[f"{outbox}_{column}"] or 0), (*own, outbox))
            for outbox in ("facts", "receipts", "quarantine")
            for what, column in (("lag", "left"), ("age_seconds", "age"))
        ]
        return [
            Reading("skillplan_log_position", row["position"], own),
            Reading("skillplan_receipts_recorded", row["receipts"], own),
            Reading("skillplan_waiting_reports", row["waiting"], own),
            Reading("skillplan_waiting_oldest_seconds", max(0.0, row["waiting_age"] or 0), own),
            Reading("skillplan_quarantined", row["quarantined"], own),
            Reading("skillplan_oldest_transaction_seconds", max(0.0, row["transaction_age"] or 0), own),
            *left,
        ]


def _not_compared(service: str, head: LogHead) -> str | None:
    """Return why nothing is decided although the database answers, None when it is decided."""
    if head.compared:
        return None
    if head.topic is None:
        return "not compared with its topic yet: the worker does it"
    return (
        f"{events_topic(service)} is at {head.topic}, the log at {head.position}: a database restored from a backup?"
        f" Stop the worker and run `recover` (docs/operations.md)"
    )
