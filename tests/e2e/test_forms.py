"""A clerk with one report: a form in a real browser, judged as it is filled in, sent once whatever the network does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from client.demo.people import MadeUpPeople
from tests.e2e.conftest import PLAN, accepted
from tests.e2e.test_dashboard import SHOTS
from tests.harness.browser import CHROMIUM, run_errand
from tests.harness.processes import eventually

HIRED: Final = "skillplan.recruitment.person-hired.v1"
FAIR: Final = "skillplan.recruitment.fair-held.v1"
_FIRST: Final = 1  # of a list's values; none is chosen before

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium, or CHROMIUM=<path>")


@pytest.mark.parametrize(("language", "width", "flips", "forms"), [("zh", 1280, 100, 10), ("en", 360, 0, 1)])
def test_a_form_is_judged_as_it_is_filled_in_and_goes_out_once_whatever_the_network_does(
    state: Path, addresses: dict[str, str], language: str, width: int, flips: int, forms: int
) -> None:
    people = MadeUpPeople(f"forms-{language}")
    company = people.organisation("enterprise", "330681", 1)
    persons = [people.person(number) for number in range(1, forms + 1)]
    fields = [
        {
            "subject_no": f"forms-{language}-{number}", "data_person_id_number": person["id_number"],
            "data_person_name": person["name"], "data_enterprise_credit_code": company["credit_code"],
            "data_enterprise_name": company["name"], "data_channel": _FIRST, "data_occupation_code": "6-18-01-01",
            "data_hired_on": "2025-06-18",
        }
        for number, person in enumerate(persons)
    ]  # fmt: skip
    number = persons[0]["id_number"]
    fair = {
        "subject_no": f"forms-{language}", "data_name": "演示招聘会", "data_kind": _FIRST, "data_province": "36",
        "data_held_on": "2025-06-18", "data_enterprises": "3", "data_jobs": "5",
    }  # fmt: skip
    before = accepted(addresses, HIRED), accepted(addresses, FAIR)
    result: dict[str, Any] = run_errand(
        "form", base=addresses["gateway"], plan=PLAN, shots=str(SHOTS), language=language, width=width, flips=flips,
        type=HIRED, forms=fields, later={"type": FAIR, "fields": fair},
        wrong={"data_person_id_number": number[:17] + ("0" if number[17] != "0" else "1")},
    )  # fmt: skip
    assert ("校验码" in result["fault"]) == (language == "zh")
    assert "4.1.b" in result["counts"], "it says what it would count in"
    assert result["flips"] >= flips
    assert result["axe"] == []
    assert result["wide"] <= 0
    assert all(bool(re.search("[一-鿿]", label)) == (language == "zh") for label in result["labels"] if label.strip())
    # None lost, none twice; and the one that waited in the browser while no page was open, too.
    assert result["drafts"] is None
    assert eventually(lambda: accepted(addresses, HIRED) == before[0] + forms, within=30)
    assert eventually(lambda: accepted(addresses, FAIR) == before[1] + 1, within=30)
    private = [str(person[name]) for person in persons for name in ("id_number", "name")]
    for place in (result["stored"], *(log.read_text(errors="replace") for log in (state / "logs").glob("*"))):
        assert not any(value in place for value in private)
