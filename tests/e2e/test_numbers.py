"""Every number of the read API equals a plain recount of the services' logs, over the demo feed on the real stack."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from services.catalogue import COUNTED
from shared.plan.loading import load_plan
from tests.conftest import ROOT
from tests.e2e.conftest import PLAN, progress_of
from tests.harness.oracle import due, recount, standing_at


def _log(address: str) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    while True:
        after = facts[-1]["position"] if facts else 0
        page = httpx.get(f"{address}/v1/log", params={"after": after, "limit": 5000}, timeout=30).json()["facts"]
        if not page:
            return facts
        facts += page


def _signals(period: dict[str, Any]) -> set[str]:
    """Return the signals that VOCABULARY 5 allows a value; a level is met for good only at the plan's end (E17)."""
    value, expected = period["value"], period["expected"]
    if value is None or expected is None:
        return {"none"}
    if period["met"]:
        return {"met", "green"}
    if value >= expected:
        return {"green"} if expected < period["target"]["value"] else {"amber"}
    return {"amber"} if value >= 0.8 * expected else {"red"}


@pytest.mark.timeout(600)
def test_every_number_equals_a_plain_recount_of_the_logs(addresses: dict[str, str]) -> None:
    plan = load_plan(ROOT / "plans" / f"{PLAN}.yaml")
    facts = [fact for service in COUNTED for fact in _log(addresses[service])]
    assert len(facts) > 1_000
    middle = sorted(fact["recordedat"] for fact in facts)[len(facts) // 2]
    wrong, compared = [], 0
    for as_of, known_at in ((date(2025, 12, 31), None), (date(2024, 5, 17), None), (date(2025, 3, 1), middle)):
        instant = datetime.fromisoformat(known_at) if known_at else datetime.now(UTC)
        standing = standing_at(facts, instant)
        for district in (None, "330600", "330602", "330681"):
            parameters = {"as_of": as_of.isoformat(), "district": district, "known_at": known_at}
            progress = progress_of(addresses, **{name: value for name, value in parameters.items() if value})
            assert {row["id"] for row in progress["indicators"]} == set(plan.indicators)
            for row in progress["indicators"]:
                for period in row["periods"]:
                    numerator, denominator = recount(
                        plan, plan.indicators[row["id"]][1], standing,
                        district=district, period=period["period"], as_of=as_of, known_at=instant,
                    )  # fmt: skip
                    compared += 1
                    owed = due(plan, plan.indicators[row["id"]][1], district, period["period"], as_of)
                    assert period["expected"] == (None if owed is None else float(owed)), (row["id"], parameters)
                    assert period["signal"] in _signals(period), (row["id"], parameters)
                    if (period["numerator"], period["denominator"]) != (numerator, denominator):
                        wrong.append((row["id"], period["period"], parameters, period["numerator"], numerator))
    assert not wrong, wrong[:10]
    assert compared > 600


def test_the_facts_behind_each_cell_add_up_to_it(addresses: dict[str, str]) -> None:
    for district in (None, "330681"):
        parameters = {"as_of": "2025-06-30"} | ({"district": district} if district else {})
        rows = progress_of(addresses, **parameters)["indicators"]
        cells = [(row["id"], period) for row in rows for period in row["periods"]]
        with httpx.Client(base_url=addresses["projection"], timeout=10) as client:
            for indicator, period in cells:
                path = f"/v1/plans/{PLAN}/indicators/{indicator}/facts"
                facts = client.get(path, params={"period": period["period"], **parameters}).json()["facts"]
                assert sum(fact["numerator"] for fact in facts) == period["numerator"], indicator
                if period["denominator"] is not None:
                    assert sum(fact["denominator"] for fact in facts) == period["denominator"], indicator


def test_districts_add_up_to_the_city_and_months_to_the_year(addresses: dict[str, str]) -> None:
    whole = progress_of(addresses, as_of="2025-12-31")
    parts = [
        progress_of(addresses, as_of="2025-12-31", district=code)
        for code in ("330600", "330602", "330603", "330604", "330624", "330681", "330683")
    ]
    for number, row in enumerate(whole["indicators"]):
        for at, period in enumerate(row["periods"]):
            own = [part["indicators"][number]["periods"][at]["numerator"] for part in parts]
            assert sum(own) == period["numerator"], row["id"]
    for indicator, period in (("4.1.b", "2024"), ("3.3.a", "2023")):
        months = [
            httpx.get(
                f"{addresses['projection']}/v1/plans/{PLAN}/indicators/{indicator}/facts",
                params={"period": period, "month": f"{period}-{month:02}", "as_of": "2025-12-31"},
                timeout=10,
            ).json()["numerator"]
            for month in range(1, 13)
        ]
        (row,) = [row for row in whole["indicators"] if row["id"] == indicator]
        (cell,) = [cell for cell in row["periods"] if cell["period"] == period]
        assert sum(months) == cell["value"]
