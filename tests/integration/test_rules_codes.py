"""Every code a report can be refused with, provoked through the HTTP door of the service that says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from services.catalogue import COUNTED
from shared.contract.rules import Rule
from tests.harness.service import (
    ON_POSTGRES,
    ReportFields,
    ServiceHarnesses,
    check,
    corrected,
    person,
    prerequisites,
    report,
    retraction,
    running_services_fixture,  # noqa: F401 - a fixture
    services_fixture,  # noqa: F401 - a fixture
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
# What is reported in order; the last of it is refused.
Steps = Callable[[], Iterator[ReportFields]]
CLAIM, ALLOWANCE, LINE = "subsidy-claimed", "allowance-claimed", "credit-line-requested"


def first(service: str, name: str, *then: ReportFields) -> Steps:
    """Have all that a type's sample needs accepted first."""

    def steps() -> Iterator[ReportFields]:
        for home, needed in prerequisites(service, name):
            yield report(home, needed)
        yield from then

    return steps


def only(*sent: ReportFields) -> Steps:
    """Report nothing but this."""
    return lambda: iter(sent)


def fair(id_: str = "f", **data: Any) -> ReportFields:
    return report("recruitment", "fair-held", id_, **data)


def without(sent: ReportFields, name: str) -> ReportFields:
    return {key: value for key, value in sent.items() if key != name}


CITY: Final = "/districts/330600/x"
FUTURE: Final = fair() | {"time": "2099-01-01T09:30:00+08:00"}
ME: Final = report("subsidy", CLAIM)["data"]["person"]["id_number"]
HIRED: Final = report("recruitment", "person-hired")
CLASS: Final = report("recruitment", "cooperation-class-opened", seats=1)
HIRED_THERE: Final = report(
    "recruitment",
    "person-hired",
    person=report("subsidy", ALLOWANCE)["data"]["person"],
    enterprise=report("subsidy", ALLOWANCE)["data"]["enterprise"],
    on="2024-01-02",
)

# (code, pointer, what leads to it; the last is refused by it)
REFUSED: Final[list[tuple[str, str | None, Steps]]] = [
    ("only-the-city", "/district", only(report("subsidy", "standard-set", source="/districts/330681/x"))),
    ("not-yours", "/subject", only(fair(), fair("x", source="/districts/330602/other"))),
    ("wrong-district", "/district", only(fair() | {"district": "330602"})),
    (
        "wrong-district",
        "/district",
        only(
            report(
                "enrollment", "population-reported", source="/districts/330600/x", subject="population/330600/elderly"
            )
        ),
    ),
    ("id-reused", "/id", only(fair(), fair(jobs=7))),
    ("in-the-future", "/time", only(FUTURE)),
    ("in-the-future", "/data/held_on", only(fair(held_on="2099-01-01"))),
    ("already-corrected", "/corrects", only(fair(), corrected(fair()), corrected(fair(), "x"))),
    ("already-corrected", "/data/report_id", only(fair(), corrected(fair()), retraction(fair()))),
    ("already-retracted", "/corrects", only(fair(), retraction(fair()), corrected(fair()))),
    ("already-retracted", "/data/report_id", only(fair(), retraction(fair()), retraction(fair(), "x"))),
    ("nothing-to-correct", "/corrects", only(FUTURE, corrected(FUTURE) | {"time": fair()["time"]})),
    ("nothing-to-retract", "/data/report_id", only(FUTURE, retraction(FUTURE))),
    ("other-subject", "/corrects", only(fair(), fair("x", subject="fair/X") | {"corrects": "f"})),
    ("other-subject", "/data/report_id", only(fair(), retraction(fair(), subject="fair/X"))),
    ("ends-before-start", "/data/ended_on", only(HIRED, report("recruitment", "hire-ended", on="2024-01-01"))),
    (
        "ends-before-start",
        "/data/until",
        only(report("recruitment", "practical-training-started", starts_on="2024-02-01", until="2024-01-31")),
    ),
    (
        "not-open",
        None,
        only(HIRED, report("recruitment", "hire-ended"), report("recruitment", "hire-ended", "x")),
    ),
    (
        "opened-again",
        None,
        only(
            HIRED,
            report("recruitment", "hire-ended", on="2024-06-01"),
            report("recruitment", "person-hired", "x", on="2024-06-01"),
            retraction(report("recruitment", "hire-ended")),
        ),
    ),
    ("already-open", "/subject", only(fair(), fair("x"))),
    (
        "number-taken",
        "/subject",
        only(report("competition", "certificate-issued"), report("competition", "certificate-issued", "x")),
    ),
    ("parts-exceed-total", "/data/emerging", only(report("enrollment", "intake-reported", total=1))),
    ("parts-exceed-total", "/data/certified_staff", only(report("enrollment", "staffing-reported", staff=1))),
    ("parts-exceed-total", "/data/passed", only(report("competition", "certification-session-held", candidates=1))),
    (
        "overlapping-apprenticeship",
        "/data/starts_on",
        only(
            report("enrollment", "apprenticeship-started"),
            report("enrollment", "apprenticeship-started", "x", subject="apprenticeship/X", kind="modern"),
        ),
    ),
    (
        "overlapping-training",
        "/data/started_on",
        only(
            report("enrollment", "training-completed"),
            report("enrollment", "training-completed", "x", subject="training/X/1"),
        ),
    ),
    ("series-not-open", "/data/series", only(report("competition", "title-conferred"))),
    (
        "already-employed-there",
        "/data/hired_on",
        only(HIRED, report("recruitment", "person-hired", "x", subject="hire/X")),
    ),
    (
        "class-full",
        "/data/class_no",
        only(
            CLASS,
            report("recruitment", "student-joined-class"),
            report("recruitment", "student-joined-class", "x", subject=f"class-member/{CLASS['subject'][6:]}/X"),
        ),
    ),
    (
        "more-than-raised",
        "/data/persons",
        only(report("recruitment", "demand-raised"), report("recruitment", "demand-matched", persons=121)),
    ),
    (
        "overlapping-catalogue",
        "/data/effective_from",
        only(
            report("subsidy", "catalogue-published"),
            report("subsidy", "catalogue-published", "x", subject="catalogue/X", effective_from="2025-12-31"),
        ),
    ),
    (
        "not-your-certificate",
        "/data/certificate_number",
        first("subsidy", CLAIM, report("subsidy", CLAIM, person=person(9))),
    ),
    (
        "certificate-not-valid",
        "/data/certificate_number",
        first("subsidy", CLAIM, report("subsidy", CLAIM, claimed_on="2024-05-07")),
    ),
    ("no-standard", None, only(report("competition", "certificate-issued"), report("subsidy", CLAIM))),
    (
        "already-granted",
        None,
        first("subsidy", CLAIM, report("subsidy", CLAIM), report("subsidy", CLAIM, "x", subject="claim/X")),
    ),
    (
        "level-too-low",
        None,
        only(
            report("competition", "certificate-issued", level="3"),
            report("subsidy", "catalogue-published"),
            report("subsidy", ALLOWANCE),
        ),
    ),
    (
        "not-a-shortage-occupation",
        None,
        only(report("competition", "certificate-issued"), report("subsidy", ALLOWANCE)),
    ),
    (
        "not-employed",
        None,
        first(
            "subsidy",
            ALLOWANCE,
            HIRED_THERE,
            report("recruitment", "hire-ended", on="2024-05-01"),
            report("subsidy", ALLOWANCE),
        ),
    ),
    ("over-the-limit", "/data/amount_fen", first("subsidy", LINE, report("subsidy", LINE, amount_fen=150_000_001))),
    (
        "not-granted",
        None,
        first("subsidy", CLAIM, report("subsidy", CLAIM, person=person(9)), report("subsidy", "subsidy-paid")),
    ),
    (
        "more-than-granted",
        "/data/amount_fen",
        first("subsidy", "subsidy-paid", report("subsidy", "subsidy-paid", amount_fen=375_001)),
    ),
    ("more-than-paid", "/data/amount_fen", first("subsidy", "subsidy-paid", report("subsidy", "subsidy-recovered"))),
    (
        "already-paid",
        None,
        first("subsidy", "subsidy-recovered", retraction(report("subsidy", CLAIM))),
    ),
]
INVALID: Final[list[tuple[str, str, ReportFields]]] = [
    ("missing-attribute", "/time", without(fair(), "time")),
    ("bad-attribute", "/source", fair() | {"source": "somewhere"}),
    ("bad-attribute", "/corrects", retraction(fair()) | {"corrects": "f"}),
    ("unknown-type", "/type", fair() | {"type": "skillplan.recruitment.fair-held.v9"}),
    ("bad-subject", "/subject", fair(subject="fare/1")),
    ("subject-mismatch", "/data/class_no", report("recruitment", "student-joined-class", class_no="X")),
    ("missing-field", "/data/jobs", fair(jobs=None)),
    ("unknown-field", "/data/job", fair(job=1)),
    ("bad-value", "/data/jobs", fair(jobs=-1)),
    ("bad-date", "/data/held_on", fair(held_on="2024-02-30")),
    ("bad-checksum", "/data/person/id_number", report("recruitment", "person-hired", person={"id_number": "1" * 18})),
    ("personal-number", "/data/name", fair() | {"data": fair()["data"] | {"name": f"张三 {ME}"}}),
]


async def deliver(harnesses: ServiceHarnesses, sent: ReportFields) -> tuple[int, dict[str, Any]]:
    """Post a report to the service of its type, and let subsidy hear what came of it."""
    harness = await harnesses.at(sent["type"].split(".")[1])
    answer = await harness.post(sent)
    await harnesses.hear()
    return answer


@pytest.mark.parametrize(("code", "pointer", "steps"), [pytest.param(*row, id=row[0]) for row in REFUSED])
@ON_POSTGRES
async def test_it_is_refused(harnesses: ServiceHarnesses, code: str, pointer: str | None, steps: Steps) -> None:
    *before, last = steps()
    for sent in before:
        await deliver(harnesses, sent)
    status, receipt = await deliver(harnesses, last)
    assert status == 422
    check(receipt, "refused", code)
    assert receipt["reasons"][0].get("pointer") == pointer


@pytest.mark.parametrize(("code", "pointer", "sent"), [pytest.param(*row, id=row[0]) for row in INVALID])
@ON_POSTGRES
async def test_it_is_not_understood(harnesses: ServiceHarnesses, code: str, pointer: str, sent: ReportFields) -> None:
    status, receipt = await deliver(harnesses, sent)
    assert status == 422
    check(receipt, "invalid", code)
    assert receipt["reasons"][0]["pointer"] == pointer


@pytest.mark.parametrize("service", ["enrollment", "competition", "subsidy"])
@ON_POSTGRES
async def test_it_is_sent_to_another_service(harnesses: ServiceHarnesses, service: str) -> None:
    there = {"enrollment": "major-opened", "competition": "honour-conferred", "subsidy": "standard-set"}
    status, receipt = await (await harnesses.at("recruitment")).post(report(service, there[service]))
    assert status == 422
    check(receipt, "misdirected", f"send-to-{service}")


@ON_POSTGRES
async def test_an_element_of_a_batch_that_is_no_object(harnesses: ServiceHarnesses) -> None:
    harness = await harnesses.at("recruitment")
    answer = await harness.http.post(
        "/v1/events", json=[7], headers={"content-type": "application/cloudevents-batch+json"}
    )
    check(answer.json()["results"][0], "invalid", "bad-value")


@pytest.mark.parametrize(
    ("code", "sent", "then"),
    [
        ("retracted", report("recruitment", "hire-ended"), retraction(report("recruitment", "hire-ended"))),
        ("corrected", report("recruitment", "hire-ended"), corrected(report("recruitment", "hire-ended"))),
        ("never-arrived", report("recruitment", "hire-ended"), None),
        ("no-honour", report("subsidy", LINE), None),
    ],
)
@ON_POSTGRES
async def test_what_waits_is_refused_in_the_end(
    harnesses: ServiceHarnesses, code: str, sent: ReportFields, then: ReportFields | None
) -> None:
    harness = await harnesses.at(sent["type"].split(".")[1])
    status, receipt = await harness.post(sent)
    assert (status, receipt["status"]) == (202, "waiting")
    if then is not None:
        await harness.post(then)
    else:
        await harness.let_pass(30.1)
    answer = await harness.http.get("/v1/receipts", params={"source": sent["source"], "id": sent["id"]})
    check(answer.json(), "refused", code)


async def test_no_code_is_left_out() -> None:
    # `not-your-source` needs a credential: over Kafka, where the topic is one (see the door's own tests).
    result = {code for code, _, _ in REFUSED} | {code for code, _, _ in INVALID}
    result |= {"retracted", "corrected", "never-arrived", "no-honour", "send-to", "not-an-event"}
    result |= {"not-of-the-city", "only-the-plan-office"}  # other texts of wrong-district
    # Other texts of only-the-city and of retracted: tests/unit/test_ownership.py.
    result |= {"only-the-whole", "voided"}
    result |= {"not-json", "never-read"}  # of no event (see the door's own tests)
    result |= {"version-ended"}  # no type has a second version yet: tests/contract/test_versions.py
    # The plan office's are provoked in tests/unit/test_planning.py.
    modules = ("shared.", *(f"services.{service}." for service in COUNTED))
    ours = {rule.code for rule in Rule.__subclasses__() if rule.__module__.startswith(modules)}
    assert ours - result == {"not-your-source"}
