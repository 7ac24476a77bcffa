"""Opening, ending, repeating and dating by RULES A2, C3 to C7, run over every type of all four services.

The types' own rules are left out: here every one of them says yes.
"""

from datetime import date, timedelta
from typing import Any, Final

import pytest

from shared.contract.events import Event
from shared.contract.rules import AlreadyOpen, EndsBeforeStart, InTheFuture, NotOpen, NumberTaken
from shared.deciding.decider import Accept, Domain
from tests.contract.vocabulary import MAY_LIE_AHEAD, VOCABULARY, Type
from tests.harness.checks import Row, TypeChecks
from tests.harness.given import Given, GivenReport, report, rules_of
from tests.harness.languages import LANGUAGES, sample, understood

AGREEABLE: Final = Domain(lambda _event: (), lambda _report, _view: (), lambda _report, _view: Accept())


def given(service: str) -> Given:
    return rules_of(AGREEABLE, LANGUAGES[service])


def reported(service: str, name: str, subject: str | None = None, on: str | None = None, **dates: str) -> GivenReport:
    """Return the report of a type's sample, on another day or with other dates."""
    sent = understood(service, sample(service, name))
    event: Event = sent.event
    changes: dict[str, Any] = {field: date.fromisoformat(day) for field, day in dates.items()}
    if on and event.dated:
        changes[event.dated] = date.fromisoformat(on)
        # What began before it was completed began that very day at the latest.
        changes |= {first: changes[last] for first, last in event.ordered if last == event.dated}
    event = event.model_copy(update=changes)
    return report(subject or sent.subject, event, on or "2024-05-06", received="2026-12-31")


def rows(*roles: str) -> list[Row]:
    return [
        (f"{service}.{name}", (service, name, row))
        for service, table in VOCABULARY.items()
        for name, row in table.items()
        if row.role.partition(" ")[0].rstrip(",") in roles
    ]


OPENINGS: Final = rows("opens")
ENDS: Final = rows("ends", "voids")
REPEATING: Final = rows("stands", "repeats", "adds")
ALL: Final = OPENINGS + ENDS + REPEATING
CHECKS: Final = TypeChecks()


def opening(row: Type) -> str:
    return row.role.split(" ")[-1]


def ending(service: str, name: str) -> str | None:
    """Return the type that ends one, None where none does."""
    ends = [n for n, row in VOCABULARY[service].items() if row.role in (f"ends {name}", f"voids {name}")]
    return ends[0] if ends else None


@CHECKS.over(OPENINGS)
def a_second_opening_of_what_is_open_is_refused(service: str, name: str, row: Type) -> None:
    rule = NumberTaken if row.role == "opens, else number-taken" else AlreadyOpen
    given(service)(reported(service, name)).when(reported(service, name)).then_refused(rule, "/subject")


@CHECKS.over(OPENINGS)
def after_an_end_it_opens_anew_from_that_day_or_never(service: str, name: str, row: Type) -> None:
    end = ending(service, name)
    if end is None:
        return
    ended = given(service)(reported(service, name, on="2024-03-01"), reported(service, end, on="2024-05-01"))
    anew = ended.when(reported(service, name, on="2024-05-01"))
    too_early = ended.when(reported(service, name, on="2024-04-30"))
    if row.role == "opens again":
        anew.then_accepted()
        too_early.then_refused(AlreadyOpen, "/subject")
    else:
        rule = NumberTaken if row.role == "opens, else number-taken" else AlreadyOpen
        anew.then_refused(rule, "/subject")
        too_early.then_refused(rule, "/subject")


@CHECKS.over(OPENINGS)
def what_opened_anew_is_ended_anew_and_then_not_open(service: str, name: str, row: Type) -> None:
    end = ending(service, name)
    if end is None or row.role != "opens again":
        return
    first = reported(service, name, on="2024-03-01"), reported(service, end, on="2024-05-01")
    second = reported(service, name, on="2024-06-01")
    given(service)(*first, second).when(reported(service, end, on="2024-06-01")).then_accepted()
    given(service)(*first, second).when(reported(service, end, on="2024-05-31")).then_refused(EndsBeforeStart)
    given(service)(*first, second, reported(service, end, on="2024-06-02")).when(
        reported(service, end, on="2024-06-03")
    ).then_refused(NotOpen)


@CHECKS.over(ENDS)
def an_end_waits_for_an_opening_never_heard_of(service: str, name: str, row: Type) -> None:
    end = reported(service, name)
    given(service)().when(end).then_waits_for(end.subject)


@CHECKS.over(ENDS)
def an_end_closes_what_is_open_once(service: str, name: str, row: Type) -> None:
    opened, end = reported(service, opening(row), on="2024-03-01"), reported(service, name, on="2024-05-01")
    given(service)(opened).when(end).then_accepted()
    given(service)(opened, end).when(reported(service, name, on="2024-06-01")).then_refused(NotOpen)


@CHECKS.over(ENDS)
def an_end_falls_on_the_day_of_the_start_at_the_earliest(service: str, name: str, row: Type) -> None:
    opened = given(service)(reported(service, opening(row), on="2024-03-01"))
    opened.when(reported(service, name, on="2024-03-01")).then_accepted()
    opened.when(reported(service, name, on="2024-02-29")).then_refused(
        EndsBeforeStart, f"/data/{row.dated}" if row.dated else "/time"
    )


@CHECKS.over(REPEATING)
def what_may_repeat_on_a_subject_repeats(service: str, name: str, row: Type) -> None:
    before = [reported(service, opening(row))] if row.role.startswith("adds") else []
    before += [reported(service, name, on="2024-05-06"), reported(service, name, on="2024-05-07")]
    given(service)(*before).when(reported(service, name, on="2024-05-06")).then_accepted()


@CHECKS.over(REPEATING)
def what_adds_to_an_opening_waits_for_it(service: str, name: str, row: Type) -> None:
    added = reported(service, name)
    if row.role.startswith("adds"):
        given(service)().when(added).then_waits_for(added.subject)
    else:
        given(service)().when(added).then_accepted()


@CHECKS.over(ALL)
def what_lies_ahead_is_a_plan_and_no_fact(service: str, name: str, row: Type) -> None:
    whole = given(service)(
        *([] if row.role.startswith(("opens", "stands", "rep")) else [reported(service, opening(row))])
    )

    def on(day: date) -> GivenReport:
        later = {field: "2030-01-01" for field in row.fields if field in MAY_LIE_AHEAD}
        case = reported(service, name, on=str(day), **later)
        return GivenReport(case.subject, case.event, received if row.dated else case.at, received, case.district)

    received = reported(service, name, on="2024-06-01").at
    whole.when(on(date(2024, 6, 2))).then_accepted()
    ahead = whole.when(on(date(2024, 6, 3)))
    ahead.then_refused(InTheFuture, f"/data/{row.dated}" if row.dated else "/time")


@CHECKS.over(ALL)
def dates_of_one_report_stand_in_their_order(service: str, name: str, row: Type) -> None:
    for earlier, later in row.ordered:
        nothing = given(service)()
        day = date(2024, 5, 6)
        first = {earlier: str(day)}
        nothing.when(reported(service, name, **first, **{later: str(day)})).then_accepted()
        before = str(day - timedelta(days=1))
        nothing.when(reported(service, name, **first, **{later: before})).then_refused(
            EndsBeforeStart, f"/data/{later}"
        )


@pytest.mark.parametrize("type_", CHECKS.types)
def test_a_type_is_opened_ended_and_dated_by_the_rules(type_: str) -> None:
    CHECKS.run(type_)
