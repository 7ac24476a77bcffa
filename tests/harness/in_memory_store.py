"""What the database does for the projector, in memory: keeps rows, finds them again, and sums cells."""

import copy
from collections.abc import Iterable
from datetime import date, datetime

from services.projection.counting.facts import decode
from services.projection.counting.ledger import Contribution, FactBatch
from services.projection.counting.lines import CompiledPlans, Part, StandingRow
from services.projection.counting.periods import WHOLE
from shared.plan.model import Coverage, Indicator, Plan, Ratio
from tests.harness.generated_plans import GeneratedFact, encode


class InMemoryStore:
    """What the database does for the projector, in memory."""

    def __init__(self, compiled: CompiledPlans) -> None:
        self.compiled = compiled
        self.rows: dict[tuple[int, int, str, int], StandingRow] = {}
        self.ledger: list[Contribution] = []
        self.positions: dict[str, int] = {}

    def apply(self, facts: Iterable[GeneratedFact]) -> None:
        """Count a batch; what was counted before is skipped, as the projector does by position."""
        batch = FactBatch(self.compiled)
        for envelope in facts:
            fact = decode(encode(envelope))
            if fact.position > self.positions.get(fact.service, 0):
                assert fact.position == self.positions.get(fact.service, 0) + 1
                self.positions[fact.service] = fact.position
                batch.add(fact)
        batch.take_reports(
            self._load(row)
            for row in self.rows.values()
            if (row.service, row.report_source, row.report_id) in batch.reports
            or (row.service, row.report_source, row.replaced_by) in batch.reports
        )
        batch.mark()
        members, threads = batch.keys()
        members |= {(r.line, r.member) for r in self.rows.values() if (r.line, r.subject) in threads and r.member}
        threads |= {(r.line, r.subject) for r in self.rows.values() if (r.line, r.member) in members}
        kept = [
            self._load(row)
            for row in self.rows.values()
            if (
                (row.line, row.subject) in threads
                if self.compiled.line(row.line).threaded
                else (row.line, row.member) in members
            )
        ]
        posting = batch.post(kept)
        for row in (*posting.new, *posting.changed):
            self.rows[row.line, row.use, row.service, row.position] = row
        self.ledger += posting.contributions

    def _load(self, row: StandingRow) -> StandingRow:
        row = copy.deepcopy(row)
        row.known, row.marked = len(row.stood), False
        return row

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
