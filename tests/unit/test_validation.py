"""What is validated is answered as it would be decided, and counts where its plan says (issue 16.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest

from services.projection.counting.facts import LogFact
from services.projection.counting.lines import CompiledPlans
from services.projection.queries.would_count import cells_of
from shared.plan.loading import load_plans
from shared.service.http_reports import receipts_of
from tests.conftest import ROOT
from tests.harness.reports import (
    certificate_issued,
    major_closed,
    major_opened,
    person_hired,
    standard_set,
    student_enrolled,
    subsidy_claimed,
)
from tests.harness.service_in_memory import ServiceInMemory

COMPILED = CompiledPlans(load_plans(ROOT / "plans"))


def would_count(report: dict[str, Any], **data: Any) -> list[tuple[object, ...]]:
    fields = {name: report[name] for name in ("type", "subject", "district", "time")}
    known = {name: value for name, value in (report["data"] | data).items() if name != "person"}
    fact = LogFact(
        **fields, id="", source="", position=0, recordedat=datetime.now(UTC), reportsource="", reportid="",
        data=msgspec.Raw(orjson.dumps(known)),
    )  # fmt: skip
    return [
        (cell["indicator"], cell["period"], cell["month"], cell["district"], cell["effect"], cell["amount"])
        for cell in cells_of(COMPILED, fact)
        if cell["plan"] == "shaoxing-2023-2025"
    ]


def test_a_preview_is_what_the_decision_is_and_leaves_nothing() -> None:
    service = ServiceInMemory("enrollment")
    opened, closed = major_opened(1), major_closed(1)
    tried = service.preview(opened, closed, opened)
    assert [preview.answer.status for preview in tried] == ["accepted", "accepted", "duplicate"]
    assert [[fact.type for fact in preview.facts] for preview in tried] == [[opened["type"]], [closed["type"]], []]
    assert (service.facts(), service.receipts()) == ([], [])
    service.say(closed, "waiting")
    (woken,) = service.preview(opened)
    assert [fact.report_id for fact in woken.facts] == [opened["id"]]  # not what waited for it
    (personal,) = service.preview(student_enrolled(1))
    assert personal.answer.status == "accepted"
    (wrong,) = service.preview(opened | {"subject": "x"})
    assert (wrong.answer.status, list(wrong.facts)) == ("invalid", [])


def test_the_hash_of_a_first_report_is_shown_where_it_is_recorded() -> None:
    """RULES A5 has `first` as it stands now: in a batch that is only tried it stands nowhere, and has no hash."""
    service = ServiceInMemory("enrollment")
    recorded, tried = major_opened(1), major_opened(2)
    service.say(recorded)
    (hashed,) = [receipt["sha256"] for receipt in service.receipts()]
    changed = tried | {"time": "2024-06-30T08:00:00+08:00"}
    receipts = [*map(orjson.loads, receipts_of(service.preview(recorded, tried, tried, changed, recorded)))]
    assert [receipt["status"] for receipt in receipts] == ["duplicate", "accepted", "duplicate", "refused", "duplicate"]
    firsts = [receipt.get("first", {}).get("sha256") for receipt in receipts]
    assert firsts == [hashed, None, None, None, hashed]
    assert not any("sha256" in receipt for receipt in receipts)


def test_a_decision_of_the_service_is_among_what_would_be_recorded() -> None:
    service, certificates = ServiceInMemory("subsidy"), ServiceInMemory("competition")
    certificates.say(certificate_issued(1))
    service.hear(certificates)
    standard, claim = service.preview(standard_set(1), subsidy_claimed(1))
    assert [fact.type.split(".")[2] for fact in standard.facts] == ["standard-set"]
    assert [fact.type.split(".")[2] for fact in claim.facts] == ["subsidy-claimed", "subsidy-granted"]
    assert service.preview(subsidy_claimed(1))[0].answer.status == "refused"  # no standard was recorded


def test_what_a_fact_counts_in_is_what_its_plan_says() -> None:
    hired = person_hired(1)
    assert ("4.1.b", "2024", "2024-03", "330681", "counts", 1) in would_count(hired, hired_on="2024-03-01")
    assert would_count(hired, hired_on="2019-03-01") == []
    opened = [cell for cell in would_count(major_opened(1)) if cell[0].startswith("1.1")]  # type: ignore[attr-defined]
    assert opened
    assert all(cell[4] == "counts" for cell in opened)
    closed = [cell for cell in would_count(major_closed(1)) if cell[0].startswith("1.1")]  # type: ignore[attr-defined]
    assert {cell[4] for cell in closed} == {"ends"}
    assert would_count(hired | {"type": "skillplan.planning.period-closed.v1"}) == []
    with pytest.raises(ValueError, match="does not know"):
        would_count(hired | {"type": "org.example.thing"})
