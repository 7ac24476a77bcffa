"""Ledger and cells of the projection: every counted fact has its rows, every cell is the sum of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from deploy.operations.hops.comparison import Compared
from services.catalogue import COUNTED
from services.projection.counting import generations, store
from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans


@dataclass
class Numbers:
    """The current generation of the projection, and how far it has counted each log."""

    connection: asyncpg.Connection
    compiled: CompiledPlans
    number: int
    reached: Mapping[str, int]

    def sql(self, name: str) -> str:
        """Return a query on the tables of this generation."""
        return generations.of_generation(self.number, "deploy.operations", "reconcile.sql")[name]


async def numbers_of(connection: asyncpg.Connection) -> Numbers | None:
    """Return the numbers as they are now; None when there are none yet."""
    current = await generations.current(connection)
    if current is None:
        return None
    compiled = CompiledPlans(await generations.plans_of(connection, current.number))
    return Numbers(connection, compiled, current.number, await store.positions(connection, current.number))


async def compare_ledger(
    compared: Compared, numbers: Numbers, service: str, facts: Sequence[tuple[LogFact, bytes, bytes]]
) -> None:
    """Compare the rows of the ledger with those that the facts of a service should have there."""
    if service not in COUNTED:
        return  # the plan office's facts are in no ledger
    counted = [fact for fact, _, _ in facts if fact.position <= numbers.reached.get(service, 0)]
    rows = await numbers.connection.fetch(numbers.sql("standing"), service, [fact.position for fact in counted])
    stored: defaultdict[int, set[tuple[int, int, str]]] = defaultdict(set)
    for row in rows:
        stored[row["position"]].add((row["line"], row["use"], row["event_id"]))
    for fact in counted:
        due = {(row.line, row.use, row.event_id) for row in numbers.compiled.read(fact)}
        if due != stored[fact.position]:
            compared.differs(
                "topic → ledger", fact.position, f"账本中有 {len(stored[fact.position])} 行,应有 {len(due)} 行",
                f"the ledger keeps {len(stored[fact.position])} rows of it, {len(due)} are due",
            )  # fmt: skip
        compared.counts["ledger"] += len(due)


async def compare_cells(compared: Compared, numbers: Numbers) -> None:
    """Compare every stored number with a recount from the ledger."""
    differences = await store.differences(numbers.connection, numbers.number, numbers.compiled)
    for line in numbers.compiled.lines:
        differences += [cell async for cell in store.recount(numbers.connection, numbers.number, line)]
    for cell in differences:
        where = f"{cell.line.plan} {cell.line.indicator} [{cell.place}]"
        compared.differs(
            "ledger ↔ cells", None, f"{where}: 记录 {cell.stored},重算 {cell.recounted}",
            f"{where}: kept {cell.stored}, recounted {cell.recounted}",
        )  # fmt: skip
    compared.counts["lines"] = len(numbers.compiled.lines)
