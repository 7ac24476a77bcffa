"""Putting right and taking back by RULES B, run over every type of all four services.

The types' own rules are left out: here every one of them says yes.
"""

from dataclasses import replace
from typing import Final

import pytest

from shared.contract.rules import (
    AlreadyCorrected,
    AlreadyOpen,
    AlreadyRetracted,
    EndsBeforeStart,
    NothingToRetract,
    NotOpen,
    NumberTaken,
    OpenedAgain,
    OtherSubject,
)
from tests.contract.test_lifecycles import ALL, ENDS, OPENINGS, ending, given, opening, reported
from tests.contract.vocabulary import VOCABULARY, Type
from tests.harness.checks import TypeChecks
from tests.harness.given import GivenReport, retraction

CHECKS: Final = TypeChecks()


def history(service: str, name: str, row: Type) -> list[GivenReport]:
    """Return what must stand for a report of the type to be accepted, and then that report."""
    needed = row.role.startswith(("ends", "voids", "adds"))
    opened = [reported(service, opening(row), on="2024-03-01")] if needed else []
    return [*opened, reported(service, name, on="2024-05-06")]


def corrected(original: GivenReport, of: str) -> GivenReport:
    return replace(original, corrects=of)


@CHECKS.over(ALL)
def a_report_that_stands_can_be_corrected_and_taken_back(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    original, last = f"report-{len(before)}", before[-1]
    given(service)(*before).when(corrected(last, original)).then_accepted()
    given(service)(*before).when(retraction(last.subject, original)).then_accepted()


@CHECKS.over(ALL)
def what_was_corrected_is_corrected_at_its_latest(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    original, last = f"report-{len(before)}", before[-1]
    twice = given(service)(*before, corrected(last, original))
    refusal = twice.when(corrected(last, original)).then_refused(AlreadyCorrected, "/corrects")
    assert refusal.values == {"by": f"report-{len(before) + 1}"}
    twice.when(retraction(last.subject, original)).then_refused(AlreadyCorrected, "/data/report_id")
    twice.when(corrected(last, f"report-{len(before) + 1}")).then_accepted()


@CHECKS.over(ALL)
def what_was_taken_back_is_neither_corrected_nor_taken_back_again(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    original, last = f"report-{len(before)}", before[-1]
    gone = given(service)(*before, retraction(last.subject, original))
    gone.when(corrected(last, original)).then_refused(AlreadyRetracted, "/corrects")
    gone.when(retraction(last.subject, original)).then_refused(AlreadyRetracted, "/data/report_id")
    gone.when(retraction(last.subject, f"report-{len(before) + 1}")).then_refused(NothingToRetract, "/data/report_id")


@CHECKS.over(ALL)
def a_correction_taken_back_lets_its_original_stand_again(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    original, last = f"report-{len(before)}", before[-1]
    correction = f"report-{len(before) + 1}"
    again = given(service)(*before, corrected(last, original), retraction(last.subject, correction))
    again.when(corrected(last, original)).then_accepted()
    again.when(retraction(last.subject, original)).then_accepted()
    again.when(corrected(last, correction)).then_refused(AlreadyRetracted, "/corrects")


@CHECKS.over(ALL)
def what_was_never_received_is_waited_for(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    last = before[-1]
    key = "report:/districts/330681/tests:late"
    given(service)(*before).when(corrected(last, "late")).then_waits_for("report/late", key)
    given(service)(*before).when(retraction(last.subject, "late")).then_waits_for("report/late", key)


@CHECKS.over(ALL)
def neither_subject_nor_type_can_be_corrected(service: str, name: str, row: Type) -> None:
    before = history(service, name, row)
    original, last = f"report-{len(before)}", before[-1]
    elsewhere = _elsewhere(last.subject)
    whole = given(service)(*before)
    whole.when(corrected(replace(last, subject=elsewhere), original)).then_refused(OtherSubject, "/corrects")
    whole.when(retraction(elsewhere, original)).then_refused(OtherSubject, "/data/report_id")
    other = next(n for n in VOCABULARY[service] if n != name)
    of_other_type = corrected(reported(service, other, subject=None), original)
    whole.when(replace(of_other_type, subject=last.subject)).then_refused(OtherSubject, "/corrects")


def _elsewhere(subject: str) -> str:
    return subject + "x"


@CHECKS.over(OPENINGS)
def a_correction_never_finds_its_original_in_the_way(service: str, name: str, row: Type) -> None:
    first = reported(service, name, on="2024-03-01")
    given(service)(first).when(corrected(reported(service, name, on="2024-02-01"), "report-1")).then_accepted()


@CHECKS.over(OPENINGS)
def what_was_taken_back_altogether_is_opened_anew(service: str, name: str, row: Type) -> None:
    first = reported(service, name, on="2024-03-01")
    given(service)(first, retraction(first.subject, "report-1")).when(
        reported(service, name, on="2024-02-01")
    ).then_accepted()


@CHECKS.over(OPENINGS)
def what_stands_again_is_in_the_way_again(service: str, name: str, row: Type) -> None:
    first = reported(service, name, on="2024-03-01")
    again = given(service)(first, corrected(first, "report-1"), retraction(first.subject, "report-2"))
    again.when(reported(service, name, on="2024-06-01")).then_refused(
        NumberTaken if row.role == "opens, else number-taken" else AlreadyOpen
    )


@CHECKS.over(ENDS)
def an_end_stays_attached_to_a_corrected_opening(service: str, name: str, row: Type) -> None:
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    earlier = corrected(reported(service, opening(row), on="2024-02-01"), "report-1")
    ended = given(service)(opened, end, earlier)
    ended.when(reported(service, name, on="2024-06-01")).then_refused(NotOpen)
    too_late = corrected(reported(service, opening(row), on="2024-05-02"), "report-1")
    given(service)(opened, end).when(too_late).then_refused(EndsBeforeStart)


@CHECKS.over(ENDS)
def after_its_opening_is_taken_back_an_end_waits_again(service: str, name: str, row: Type) -> None:
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    given(service)(opened, end, retraction(opened.subject, "report-1")).when(end).then_waits_for(end.subject)


@CHECKS.over(ENDS)
def an_end_taken_back_leaves_it_open(service: str, name: str, row: Type) -> None:
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    open_again = given(service)(opened, end, retraction(opened.subject, "report-2"))
    open_again.when(reported(service, name, on="2024-04-01")).then_accepted()
    refused = AlreadyOpen if service != "competition" or opening(row) != "certificate-issued" else NumberTaken
    open_again.when(reported(service, opening(row), on="2024-06-01")).then_refused(refused)


@CHECKS.over(ENDS)
def an_end_after_which_it_was_opened_again_stays(service: str, name: str, row: Type) -> None:
    if VOCABULARY[service][opening(row)].role != "opens again":
        return
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    anew = reported(service, opening(row), on="2024-06-01")
    whole = given(service)(opened, end, anew)
    whole.when(retraction(opened.subject, "report-2")).then_refused(OpenedAgain)
    whole.when(corrected(reported(service, name, on="2024-06-01"), "report-2")).then_accepted()
    whole.when(corrected(reported(service, name, on="2024-06-02"), "report-2")).then_refused(OpenedAgain)
    # Once the second opening is taken back, nothing is in the way.
    given(service)(opened, end, anew, retraction(opened.subject, "report-3")).when(
        retraction(opened.subject, "report-2")
    ).then_accepted()


@CHECKS.over(ENDS)
def a_corrected_end_is_not_ended_already(service: str, name: str, row: Type) -> None:
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    whole = given(service)(opened, end)
    whole.when(corrected(reported(service, name, on="2024-04-01"), "report-2")).then_accepted()
    whole.when(corrected(reported(service, name, on="2024-02-29"), "report-2")).then_refused(EndsBeforeStart)


@pytest.mark.parametrize("service", VOCABULARY)
def test_every_end_of_the_contract_was_tried(service: str) -> None:
    openings = {name for name in VOCABULARY[service] if ending(service, name)}
    assert openings == {opening(row) for row in VOCABULARY[service].values() if row.role.startswith(("ends", "voids"))}


@pytest.mark.parametrize("type_", CHECKS.types)
def test_a_type_is_corrected_and_taken_back_by_the_rules(type_: str) -> None:
    CHECKS.run(type_)
