"""A clerk with one report: a form in a real browser, judged as it is filled in, sent once whatever the network does."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from client.demo.people import MadeUpPeople
from services.catalogue import DOMAIN_SERVICES
from shared.http.api_keys import KeyFile, Role
from tests.e2e.conftest import PLAN, accepted, left_on_disk
from tests.e2e.test_dashboard import SHOTS
from tests.harness import reports
from tests.harness.browser import CHROMIUM, run_errand
from tests.harness.languages import sample
from tests.harness.ports import any_free
from tests.harness.processes import Process, eventually

HIRED: Final = "skillplan.recruitment.person-hired.v1"
FAIR: Final = "skillplan.recruitment.fair-held.v1"
_FIRST: Final = 1  # of a list's values; none is chosen before

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium, or CHROMIUM=<path>")


@pytest.mark.parametrize(("language", "width", "flips", "forms"), [("zh", 1280, 100, 10), ("en", 360, 0, 1)])
def test_a_form_is_judged_as_it_is_filled_in_and_goes_out_once_whatever_the_network_does(
    state: Path, addresses: dict[str, str], profiles: Path, language: str, width: int, flips: int, forms: int
) -> None:
    people = MadeUpPeople(f"forms-{language}")
    company = people.organisation("enterprise", "330681", 1)
    persons = [people.person(number) for number in range(1, forms + 1)]
    fields = [
        {
            "subject_no": f"forms-{language}-{number}", "data_person_id_number": person["id_number"],
            "data_person_name": person["name"], "data_enterprise_credit_code": company["credit_code"],
            "data_enterprise_name": company["name"], "data_channel": _FIRST, "data_occupation_code": "6-18-01-01",
            "data_person_phone": person["phone"], "data_hired_on": "2025-06-18",
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
        profiles=str(profiles), type=HIRED, forms=fields, later={"type": FAIR, "fields": fair},
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
    private = [str(person[name]) for person in persons for name in ("id_number", "name", "phone")]
    assert not any(value in result["stored"] for value in private)
    assert left_on_disk(state, profiles, private) == set()


# What ends, pays, matches or corrects a report: the names of types, by what they go on from; "" corrects it.
_FOLLOWED: Final = {
    "recruitment.person-hired": ("", "hire-ended"), "recruitment.demand-raised": ("", "demand-matched"),
    "competition.certificate-issued": ("", "certificate-revoked"), "competition.award-granted": ("award-withdrawn",),
    "enrollment.major-opened": ("", "major-closed"), "enrollment.apprenticeship-started": ("apprenticeship-ended",),
    "subsidy.wage-agreement-signed": ("", "wage-agreement-ended"), "subsidy.subsidy-claimed": ("subsidy-paid",),
}  # fmt: skip


def test_what_follows_a_report_begins_with_most_of_it_filled_in_also_where_another_browser_sent_it(
    addresses: dict[str, str],
) -> None:
    """Reports of a sandbox, so that no number of the installation moves."""
    url, batch = addresses["gateway"], {"content-type": "application/cloudevents-batch+json"}
    claim = reports.subsidy_claimed("form")
    opened = {name: sample(*name.split(".")) for name in _FOLLOWED} | {"subsidy.subsidy-claimed": claim}
    sent = [reports.standard_set("form"), reports.certificate_issued("form"), *opened.values()]
    for report in sent:
        report["source"] = f"/districts/{report['district']}/sandbox-forms"

    def all_accepted() -> bool:
        answers = httpx.post(f"{url}/v1/events", content=json.dumps(sent), headers=batch, timeout=30).json()["results"]
        return all((answer.get("first") or answer)["status"] == "accepted" for answer in answers)

    eventually(all_accepted)
    followups = [
        {
            "form": f"skillplan.{name.partition('.')[0]}.{follows}.v1" if follows else opened[name]["type"],
            "subject": opened[name]["subject"], "source": opened[name]["source"], "report": opened[name]["id"],
            **({} if follows else {"corrects": opened[name]["id"]}),
        }
        for name, all_that_follow in _FOLLOWED.items()
        for follows in all_that_follow
    ]  # fmt: skip
    result = run_errand("follow", base=url, plan=PLAN, shots=str(SHOTS), followups=followups)
    assert len(result["begun"]) == len(followups)
    for each in result["begun"]:
        assert each["needed"] > 0
        assert len(each["empty"]) <= 0.3 * each["needed"], each
        if each["corrects"]:  # what is of a person alone is asked for again: no browser and no answer holds it
            assert all("person" in field for field in each["empty"]), each


def test_a_key_is_pasted_once_and_ends_by_signing_out_and_by_being_revoked(
    addresses: dict[str, str], tmp_path: Path
) -> None:
    """A gateway with keys in front of the services of the installation."""
    pepper = "6b" * 32
    file = tmp_path / "keys.json"
    book = KeyFile(file, pepper)
    book.create()
    made = [book.add(Role.DISTRICT, ("/districts/330681/",)) for _ in range(2)]
    port = any_free(1)[0]
    gateway = Process("gateway", "api", port, {
        "SKILLPLAN_PORT": str(port), "SKILLPLAN_KEYS": str(file), "SKILLPLAN_KEY_PEPPER": pepper,
        "SKILLPLAN_SERVICES": json.dumps({name: addresses[name] for name in DOMAIN_SERVICES}),
        "SKILLPLAN_PROJECTION": addresses["projection"],
    }, tmp_path / "gateway.log").start()  # fmt: skip
    revoke = (
        "import sys; from pathlib import Path; from shared.http.api_keys import KeyFile;"
        " KeyFile(Path(sys.argv[1]), sys.argv[2]).revoke(sys.argv[3])"
    )
    try:
        result = run_errand(
            "key", base=gateway.url, plan=PLAN, shots=str(SHOTS), keys=[text for _, text in made],
            revoke=[sys.executable, "-c", revoke, str(file), pepper, made[1][0].id],
        )  # fmt: skip
    finally:
        gateway.kill()
        gateway.http.close()
    session = {(each["name"], each["httpOnly"], each["sameSite"], each["days"]) for each in result["session"]}
    assert session == {("skillplan-session", True, "Strict", 0), ("skillplan-csrf", False, "Strict", 0)}
    assert {each["days"] for each in result["kept"]} == {30}
    assert "密钥" in result["refused"]
    assert result["forged"][0] == 403, "without the token nothing that changes something is done"
    assert "token" in result["forged"][1], "and the page hears why, however much it was sending"
    assert result["after"] == result["ended"] == []
    assert not any(text in result["stored"] + gateway.log.read_text() for _, text in made)
