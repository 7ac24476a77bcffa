"""The projector's database in memory: stores rows, loads them again, and sums cells."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime

from services.projection.counting.facts import decode
from services.projection.counting.ledger import Contribution, FactBatch
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import WHOLE
from services.projection.counting.standing import InForce, RowKey, StandingRow
from shared.plan.model import Coverage, Indicator, Plan, Ratio
from tests.harness.generated_logs import encode
from tests.harness.generated_plans import GeneratedFact


class InMemoryStore:
    """The projector's database in memory."""

    def __init__(self, compiled: CompiledPlans) -> None:
        self.compiled = compiled
        self.rows: dict[RowKey, StandingRow] = {}
        self.ledger: list[Contribution] = []
        self.positions: dict[str, int] = {}

    def apply(self, facts: Iterable[GeneratedFact]) -> None:
        """Count a batch; a fact counted before is skipped, as the projector does by position."""
        batch = FactBatch(self.compiled)
        for envelope in facts:
            fact = decode(encode(envelope))
            if fact.position > self.positions.get(fact.service, 0):
                assert fact.position == self.positions.get(fact.service, 0) + 1
                self.positions[fact.service] = fact.position
                batch.add(fact)
        self.count(batch)

    def count(self, batch: FactBatch) -> int:
        """Store what a batch changes; return how many stored rows it had to know."""
        batch.load_reports(
            self._load(row)
            for row in self.rows.values()
            if (row.service, row.report_source, row.report_id) in batch.reports
            or any((row.service, row.report_source, id_) in batch.reports for id_ in row.replaced_by)
        )
        batch.take_back()
        members, subjects = batch.members_and_subjects()
        members |= {(r.line, r.member) for r in self.rows.values() if (r.line, r.subject) in subjects and r.member}
        subjects |= {(r.line, r.subject) for r in self.rows.values() if (r.line, r.member) in members}
        stored = [
            self._load(row)
            for row in self.rows.values()
            if (
                (row.line, row.subject) in subjects
                if self.compiled.line(row.line).threaded
                else (row.line, row.member) in members
            )
        ]
        posting = batch.post(stored)
        for row in (*posting.new, *posting.changed):
            self.rows[row.key] = row
        self.ledger += posting.contributions
        return len(stored) + len(posting.changed)

    def _load(self, row: StandingRow) -> StandingRow:
        return replace(
            row, in_force=InForce(row.in_force.recorded_at, row.in_force.changes, counted=True), changed=False
        )

    def cell(
        self, plan: Plan, indicator: Indicator, district: str | None, period: str, as_of: date, known_at: datetime
    ) -> tuple[int, int | None]:
        """Read a cell as the progress query does."""
        as_of = min(as_of, plan.period.last)
        numbers = {line.number for line in self.compiled.of_indicator[plan.id, indicator.id]}
        sums = {Part.NUM: 0, Part.DEN: 0}
        for row in self.ledger:
            if (
                row.line in numbers
                and row.effective_on <= as_of
                and row.recorded_at <= known_at
                and (district is None or row.district == district)
                and row.period == (WHOLE if period == "plan" else int(period))
                and as_of >= plan.period.first
            ):
                sums[Part(row.part)] += row.delta
        ratio = isinstance(indicator.value, Ratio | Coverage)
        return sums[Part.NUM], sums[Part.DEN] if ratio else None
