"""Nobody acts for another (RULES G1 to G4), through both doors, on PostgreSQL, and counted."""

from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from services.projection.counting.lines import CompiledPlans
from tests.harness import whose
from tests.harness.in_memory_store import InMemoryStore
from tests.harness.processes import System
from tests.harness.service import (
    CITY,
    ON_POSTGRES,
    ReportFields,
    ServiceHarness,
    ServiceHarnesses,
    check,
    plans,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
)
from tests.harness.topics import publish, structured

IN_MODULE: Final = pytest.mark.asyncio(loop_scope="module")

OTHER: Final = "/districts/330602/other"
FOREVER: Final = datetime(2100, 1, 1, tzinfo=UTC)


def fair(name: str = "fair-held", id_: str | None = None, source: str | None = None) -> ReportFields:
    return report("recruitment", name, id_, source=source)


async def post(harness: ServiceHarness, sent: ReportFields, status: int, code: str | None = None) -> Any:
    """Report through the door and check what becomes of it."""
    answered, receipt = await harness.post(sent)
    assert answered == status, receipt
    check(receipt, "refused" if code else "accepted", code)
    return receipt


def kernel(name: str, of: ReportFields, id_: str, **data: str) -> ReportFields:
    service = of["type"].split(".")[1]
    changes = {"source": CITY, "district": "330600", "type": f"skillplan.{service}.{name}.v1"}
    return retraction(of, id_) | changes | {"data": {**data, "reason": "查实"}}


async def counted(harness: ServiceHarness) -> int:
    """Return how many fairs all facts of the log make (4.1.a)."""
    (plan,) = [plan for plan in plans() if plan.id == "shaoxing-2023-2025"]
    store = InMemoryStore(CompiledPlans([plan]))
    store.apply(await harness.facts())
    _, indicator = plan.indicators["4.1.a"]
    return store.cell(plan, indicator, None, "2024", date(2025, 1, 1), FOREVER)[0]


@IN_MODULE
@ON_POSTGRES
async def test_one_district_does_nothing_to_anothers_fair_and_the_city_may(harnesses: ServiceHarnesses) -> None:
    harness = await harnesses.at("recruitment")
    await post(harness, fair(), 200)
    await post(harness, fair("fair-cancelled", "theirs", OTHER), 422, "not-yours")
    await post(harness, fair(id_="anew", source=OTHER), 422, "not-yours")
    assert await counted(harness) == 1
    void = kernel("report-voided", fair(), "void", source=fair()["source"], report_id=fair()["id"])
    district = void | {"source": OTHER, "district": "330602"}
    await post(harness, district, 422, "only-the-city")
    await post(harness, void, 200)
    assert await counted(harness) == 0
    assert (await harness.receipt(fair()))["flags"] == ["voided"]
    await post(harness, retraction(void), 200)
    assert await counted(harness) == 1
    assert (await harness.receipt(fair()))["flags"] == []
    await post(harness, kernel("subject-assigned", fair(), "assign", to="330602"), 200)
    await post(harness, fair("fair-cancelled", "late"), 422, "not-yours")
    assert await counted(harness) == 1  # what was reported stays where it counted
    await post(harness, fair("fair-cancelled", "citys", CITY), 200)
    assert await counted(harness) == 0


@IN_MODULE
@ON_POSTGRES
async def test_one_district_states_nothing_on_anothers_enterprise_and_no_district_sets_the_citys_rules(
    harnesses: ServiceHarnesses,
) -> None:
    harness = await harnesses.at("subsidy")
    await post(harness, report("subsidy", "enterprise-classified"), 200)
    await post(harness, report("subsidy", "enterprise-classified", "theirs", source=OTHER), 422, "not-yours")
    await post(harness, report("subsidy", "wage-agreement-signed", "theirs-2", source=OTHER), 422, "not-yours")
    await post(harness, report("subsidy", "enterprise-classified", "citys", source=CITY), 200)
    for name in ("standard-set", "catalogue-published"):
        await post(harness, report("subsidy", name, source=OTHER), 422, "only-the-city")
        await post(harness, report("subsidy", name, source=CITY), 200)
    assert {fact["reportsource"] for fact in await harness.facts()} == {CITY, "/districts/330681/sample"}


def test_nobody_acts_for_another_by_way_of_a_broker_that_asks_for_no_users(system: System) -> None:
    """With users: tests/integration/test_kafka_security.py."""
    for service in whose.SERVICES:
        system.start(service, "worker")
    whose.check(system, lambda sent: publish(system.kafka, [structured(sent)]), named=False)
