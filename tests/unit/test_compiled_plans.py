"""What a plan names is what the services publish, and a fact's date is the one its type declares."""

from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.projection.counting import generations
from services.projection.counting.facts import decode, event_types
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.shares import shares_of
from shared.contract.events import Event, kind_of
from shared.plan.loading import PlanError, load_plan, load_plans
from shared.plan.model import Plan

ROOT = Path(__file__).parents[2]
TYPES: dict[str, type[Event]] = {kind_of(type_name): event for type_name, event in event_types().items()}
PLANS = load_plans(ROOT / "plans")
COMPILED = CompiledPlans(PLANS)


def plan_counting(selector: dict[str, Any]) -> Plan:
    """Return a plan whose only indicator counts the facts of one selector."""
    return plan_with({"kind": "count", "of": [selector]})


def plan_with(value: dict[str, Any]) -> Plan:
    """Return a plan of a single indicator."""
    plan = load_plan(ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
    document = plan.model_dump(mode="json", by_alias=True)
    series = document["series"][0]
    measure = series["measures"][0]
    indicator = measure["indicators"][0] | {"value": value, "target": None, "basis": "cumulative"}
    document["series"] = [series | {"measures": [measure | {"indicators": [indicator]}]}]
    return Plan.model_validate(document)


def fact(kind: str, data: dict[str, Any], version: int = 1) -> bytes:
    return orjson.dumps(
        {
            "id": "e1", "source": f"/services/{kind.partition('.')[0]}", "type": f"skillplan.{kind}.v{version}",
            "subject": "x/1", "time": "2024-12-31T23:30:00+08:00", "district": "110101", "position": 1,
            "recordedat": "2026-01-01T00:00:00Z", "reportsource": "/districts/330602/a", "reportid": "r1", "data": data,
        }
    )  # fmt: skip


def test_every_field_that_a_plan_names_is_in_the_data() -> None:
    wrong = []
    for plan in COMPILED.plans.values():
        for _, indicator in plan.indicators.values():
            for selector in _selectors(indicator.value.model_dump()):
                event = TYPES[selector["fact"]]
                named = [*selector["where"], *(selector.get("add") or ()), selector["until"], selector["dated"]]
                wrong += [
                    (indicator.id, path) for path in named if path and path.split(".")[0] not in event.model_fields
                ]
    assert wrong == []


def _selectors(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if "where" in value else []
        return own + [selector for part in value.values() for selector in _selectors(part)]
    if isinstance(value, list | tuple):
        return [selector for part in value for selector in _selectors(part)]
    return []


@pytest.mark.parametrize(
    "selector",
    [
        {"fact": "recruitment.person-fired"},
        {"fact": "recruitment.person-hired", "ended_by": "recruitment.person-fired"},
        {"fact": "recruitment.person-hired", "undone_by": "recruitment.person-fired"},
        {"fact": "recruitment.person-hired", "dated_in": "recruitment.person-fired"},
    ],
)
def test_a_plan_that_names_a_type_nobody_publishes_is_refused(selector: dict[str, str]) -> None:
    with pytest.raises(PlanError, match=r"1\.1\.a recruitment\.person-fired"):
        CompiledPlans([plan_counting(selector)])


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_the_date_of_a_fact_is_in_the_field_that_its_type_declares(kind: str) -> None:
    """Every type has one field with its date at most, and no other date field counts (RULES A1)."""
    event = TYPES[kind]
    # All fields have a date of their own, so that reading another one shows.
    days = {field: date(2024, 1, 1 + n) for n, field in enumerate(event.model_fields)}
    compiled = CompiledPlans([plan_counting({"fact": kind})])
    (row,) = compiled.read(decode(fact(kind, {field: day.isoformat() for field, day in days.items()})))
    assert row.on == (days[event.dated] if event.dated else date(2024, 12, 31))


def test_a_fact_without_the_date_that_its_type_declares_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"recruitment\.person-hired: KeyError"):
        list(COMPILED.read(decode(fact("recruitment.person-hired", {"channel": "gold-blue-collar"}))))


@pytest.mark.parametrize(("kind", "version"), [("recruitment.person-fired", 1), ("recruitment.person-hired", 2)])
def test_a_fact_of_an_unknown_type_is_an_error_that_names_it(kind: str, version: int) -> None:
    with pytest.raises(ValueError, match=rf"skillplan\.{kind}\.v{version} is a type that this program does not know"):
        list(COMPILED.read(decode(fact(kind, {}, version))))


def test_a_second_plan_has_lines_of_its_own() -> None:
    compiled = CompiledPlans(PLANS + load_plans(ROOT / "tests" / "harness" / "plans"))
    assert {line.plan for line in compiled.lines} == {"shaoxing-2023-2025", "lakeside-2024-2026"}
    assert [line.number for line in compiled.lines] == list(range(1, len(compiled.lines) + 1))
    assert compiled.digest != COMPILED.digest


def test_plans_that_a_database_gives_back_with_other_orders_of_keys_are_the_same_plans() -> None:
    documents = [plan.model_dump(mode="json", by_alias=True) for plan in PLANS]
    stored = orjson.dumps(documents, option=orjson.OPT_SORT_KEYS).decode()
    assert CompiledPlans(generations.read_plans(stored)).digest == COMPILED.digest


def test_another_date_of_a_type_that_counts_asks_for_a_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TYPES["recruitment.person-hired"], "dated", None)
    assert CompiledPlans(PLANS).digest != COMPILED.digest


def test_any_change_of_the_counting_folder_asks_for_a_rebuild(tmp_path: Path) -> None:
    folder = ROOT / "services" / "projection" / "counting"
    files = [file for file in folder.iterdir() if file.suffix in (".py", ".sql")]
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = generations.digest_of(tmp_path)
    assert before == generations.digest_of(folder)
    digests = {before}
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes() + b"\n")
        digests.add(generations.digest_of(tmp_path))
    assert len(digests) == len(files) + 1


def test_services_that_share_no_line_are_counted_side_by_side() -> None:
    facts = {"enrollment": 40, "competition": 50, "recruitment": 30, "subsidy": 0, "planning": 0}
    assert shares_of(COMPILED.lines, facts, 1) == [tuple(sorted(facts, key=lambda service: (-facts[service], service)))]
    two = shares_of(COMPILED.lines, facts, 2)
    assert [set(share) - {"subsidy", "planning"} for share in two] == [{"enrollment", "recruitment"}, {"competition"}]
    assert sorted(service for share in two for service in share) == sorted(facts)
    assert shares_of(COMPILED.lines, dict.fromkeys(facts, 0), 4) == [tuple(sorted(facts))]


def test_services_that_share_a_line_are_counted_together() -> None:
    value = {
        "kind": "count",
        "of": [{"fact": f"{service}.activity-reported"} for service in ("recruitment", "subsidy")],
    }
    lines = CompiledPlans([plan_with(value)]).lines
    shares = shares_of(lines, {"recruitment": 5, "competition": 4, "subsidy": 1}, 3)
    assert shares == [("recruitment", "subsidy"), ("competition",)]
