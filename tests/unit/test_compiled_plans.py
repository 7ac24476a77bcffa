"""What a plan names is what the services publish, and a fact's date is the one its service declares."""

from pathlib import Path
from typing import Any

import pytest

from services.catalogue import COUNTED, DOMAIN_SERVICES
from services.projection.counting.facts import DATES, kind_of
from services.projection.counting.lines import CompiledPlans
from shared.contract.events import Event
from shared.plan.loading import load_plans

ROOT = Path(__file__).parents[2]
TYPES: dict[str, type[Event]] = {
    kind_of(language.type_of(event)): event
    for service in COUNTED
    for language in [DOMAIN_SERVICES[service].language]
    for event in language.events
}
CHART = CompiledPlans(load_plans(ROOT / "plans"))


def test_every_fact_that_a_plan_names_is_published() -> None:
    assert {use.kind for line in CHART.lines for use in line.uses} <= TYPES.keys()


def test_every_field_that_a_plan_names_is_in_the_data() -> None:
    wrong = []
    for plan in CHART.plans.values():
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
        found = [value] if "where" in value else []
        return found + [one for part in value.values() for one in _selectors(part)]
    if isinstance(value, list | tuple):
        return [one for part in value for one in _selectors(part)]
    return []


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_the_date_of_a_fact_is_the_one_its_service_declares(kind: str) -> None:
    event = TYPES[kind]
    assert [field for field in DATES if field in event.model_fields] == ([event.dated] if event.dated else [])


def test_a_second_plan_has_lines_of_its_own() -> None:
    compiled = CompiledPlans(load_plans(ROOT / "plans") + load_plans(ROOT / "tests" / "harness" / "plans"))
    assert {line.plan for line in compiled.lines} == {"shaoxing-2023-2025", "lakeside-2024-2026"}
    assert [line.number for line in compiled.lines] == list(range(1, len(compiled.lines) + 1))
    assert compiled.digest != CHART.digest
