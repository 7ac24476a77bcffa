"""What stands, by the fold of a log that every decision is made from, against a plain second reading of RULES B."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recruitment.events import LANGUAGE, DemandMatched, DemandRaised, HireEnded, PersonHired
from shared.contract.events import (
    DecisionFlagged,
    Event,
    Fact,
    ReportRetracted,
    ReportSuspended,
    ReportVoided,
    Retracts,
)
from shared.deciding.facts import FactIndex, event_body
from shared.deciding.stream_fold import StreamFold
from shared.deciding.view import View
from tests.harness.people import organisation, someone

SOURCE: Final = "/districts/330681/tests"
START: Final = datetime(2024, 1, 1, tzinfo=UTC)
# (what, which stream, which earlier report, which day)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["open", "open", "end", "end", "correct", "correct", "retract", "void", "unvoid", "suspend", "anew", "flag"]
        ),
        st.integers(0, 3),
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    max_size=30,
)
MANY: Final = settings(max_examples=150, deadline=None)


def _event(what: str, which: int, days: int) -> Event:
    day = date(2024, 1, 1) + timedelta(days=days)
    if which == 3:
        if what == "end":
            return DemandMatched(instrument="agency-service", persons=days + 1)
        return DemandRaised(project="项目", enterprise=organisation(1), occupation_code="6-25-01-01", persons=99)
    if what == "end":
        return HireEnded(ended_on=day)
    return PersonHired(
        person=someone(1), enterprise=organisation(1), channel="other", occupation_code="6-18-01-01", hired_on=day
    )


class Log:
    """A log written without asking any decider: orders that could come about, and many that could not."""

    def __init__(self, steps: list[tuple[str, int, int, int]]) -> None:
        self.facts: list[Fact] = []
        self.first: dict[str, Fact] = {}  # the report's own fact, by its id
        for what, which, meant, days in steps:
            names = list(self.first)
            target = self.first[names[meant % len(names)]] if names else None
            if what in ("open", "end") or target is None:
                stream = "demand/D" if which == 3 else f"hire/H{which}"
                self.add(f"r{len(self.facts)}", stream, _event(what, which, days))
            elif what in ("correct", "retract", "void") and target.report_id not in standing(self.facts):
                continue  # the one thing that is always seen to: what is put right or taken back stands (RULES B2)
            elif what == "correct":
                event = target.event
                if isinstance(event, DemandMatched):
                    event = event.model_copy(update={"persons": days + 1})
                self.add(f"r{len(self.facts)}", target.stream, event, corrects=target.report_id)
            elif what == "retract":
                undo = ReportRetracted(report_id=target.report_id, reason="误报")
                self.add(f"u{len(self.facts)}", target.stream, undo)
            elif what == "void":
                self.add(
                    f"v{len(self.facts)}",
                    target.stream,
                    ReportVoided(source=SOURCE, report_id=target.report_id, reason="误报"),
                )
            elif what == "unvoid":
                voids = [fact for fact in self.facts if isinstance(fact.event, ReportVoided)]
                if voids:
                    undo = ReportRetracted(report_id=voids[meant % len(voids)].report_id, reason="误报")
                    self.add(f"u{len(self.facts)}", voids[meant % len(voids)].stream, undo)
            elif what == "suspend":
                self.add(target.report_id, target.stream, ReportSuspended(report_id=target.report_id, reason="x"))
            elif what == "flag":
                flag = DecisionFlagged(report_id=target.report_id, flag="needs-review", reason="x")
                self.add(target.report_id, target.stream, flag)
            elif target.report_id in suspended(self.facts):
                self.add(target.report_id, target.stream, target.event, corrects=target.corrects)

    def add(self, id_: str, stream: str, event: Event, corrects: str | None = None) -> None:
        number = len(self.facts) + 1
        at = START + timedelta(minutes=number)
        fact = Fact(
            service="recruitment",
            position=number,
            version=number,
            id=str(number),
            type=LANGUAGE.type_of(type(event)),
            stream=stream,
            district="330681",
            at=at,
            time=at.isoformat(),
            recorded_at=at,
            report_source=SOURCE,
            report_id=id_,
            event=event,
            body=event_body(event),
            corrects=corrects,
        )
        self.facts.append(fact)
        if not event.decision and not isinstance(event.role, Retracts):
            self.first.setdefault(id_, fact)


def suspended(facts: list[Fact]) -> set[str]:
    """Return the ids of reports that were suspended and not decided again since."""
    matches: set[str] = set()
    for fact in facts:
        if isinstance(fact.event, ReportSuspended):
            matches.add(fact.report_id)
        elif not isinstance(fact.event, DecisionFlagged | ReportRetracted | ReportVoided):
            matches.discard(fact.report_id)
    return matches


def standing(facts: list[Fact]) -> set[str]:
    """Return the ids of the reports that stand, each asked for by itself (RULES B1, B4, B6)."""
    undone = {fact.event.report_id: fact.position for fact in facts if isinstance(fact.event, ReportRetracted)}
    voided = {
        fact.event.report_id: fact.position
        for fact in facts
        if isinstance(fact.event, ReportVoided) and fact.report_id not in undone
    }
    retracted = undone | voided
    reported = [
        fact
        for fact in facts
        if not isinstance(fact.event, ReportRetracted | ReportVoided | ReportSuspended | DecisionFlagged)
    ]
    first = {fact.report_id: fact.position for fact in reversed(reported)}

    def counts(id_: str) -> bool:
        # A retraction of what is not there yet takes nothing back.
        return not (id_ in retracted and retracted[id_] > first[id_])

    replaced = {fact.corrects for fact in reported if fact.corrects and counts(fact.report_id)}
    return {id_ for id_ in first if counts(id_) and id_ not in replaced} - suspended(facts)


def in_force(view: View) -> Any:
    """Return what a view says stands, in order, with the ends attached."""
    streams = sorted({fact.stream for fact in view.facts})
    return (
        [
            [(s.fact.report_id, s.fact.position, s.end.report_id if s.end else None) for s in view.on(stream)]
            for stream in streams
        ],
        [fact.report_id for fact in view.orphans],
    )


def details(view: View, facts: list[Fact]) -> Any:
    """Return what else a view says: sums, what is in force of a type, and what became of each report."""
    keys = [("recruitment", (fact.report_source, fact.report_id)) for fact in facts]
    by_type = [[it.fact.report_id for _, it in view.of(event)] for event in (DemandRaised, DemandMatched, PersonHired)]
    in_force = [(it := view.of_report(*key)) and (it.fact.position, it.root) for key in keys]
    says = [view.says(replace(fact.as_report(b"", START), id="new"), "recruitment") for fact in facts]
    fates = [(view.counts(*key), (fate := view.fate(*key)) and fate.code) for key in keys]
    return view.total(DemandMatched, "persons"), by_type, in_force, says, fates


def ids(seen: Any) -> list[str]:
    """Return the ids of all that stands by what `in_force` returned."""
    places, orphans = seen
    return [*(id_ for place in places for s in place for id_ in (s[0], s[2]) if id_), *orphans]


@given(STEPS)
@MANY
def test_each_report_that_stands_has_one_place(steps: list[tuple[str, int, int, int]]) -> None:
    facts = Log(steps).facts
    matches = ids(in_force(View(facts)))
    assert len(matches) == len(set(matches))
    assert set(matches) == standing(facts)


@given(STEPS, st.randoms(use_true_random=False))
@MANY
def test_the_order_in_which_facts_are_loaded_does_not_matter(
    steps: list[tuple[str, int, int, int]], shuffle: random.Random
) -> None:
    facts = Log(steps).facts
    mixed = list(facts)
    shuffle.shuffle(mixed)
    assert in_force(View(mixed)) == in_force(View(facts))


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_a_fold_evolved_fact_by_fact_is_the_fold_of_all(steps: list[tuple[str, int, int, int]]) -> None:
    facts = Log(steps).facts
    index, view = FactIndex(), View()
    for number, fact in enumerate(facts, 1):
        index.add(fact)
        view = index.view({known.stream for known in facts[:number]})
        anew = View(facts[:number])
        assert in_force(view) == in_force(anew)
        assert details(view, facts) == details(anew, facts)
    for fact in facts:
        key = (fact.report_source, fact.report_id)
        as_if = view.without(fact.stream, "recruitment", key)
        rest = [StreamFold([other for other in facts if other.stream == fact.stream], ("recruitment", key))]
        rest += [StreamFold([f for f in facts if f.stream == other]) for other in set(view.streams) - {fact.stream}]
        anew = View.over({fold.facts[0].stream: fold for fold in rest})
        assert in_force(as_if) == in_force(anew)
        assert details(as_if, [])[:2] == details(anew, [])[:2]
    assert details(view, facts) == details(View(facts), facts), "a view without a report leaves its own as it was"


def test_what_takes_back_or_corrects_one_addition_of_many_folds_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log([("open", 3, 0, 0), *[("end", 3, 0, 0)] * 20])
    index = FactIndex(log.facts)
    view = index.view(["demand/D"])
    monkeypatch.setattr(StreamFold, "_apply", None)
    log.add("undo", "demand/D", ReportRetracted(report_id="r5", reason="误报"))
    log.add("again", "demand/D", _event("end", 3, 4), corrects="r6")
    for fact in log.facts[-2:]:
        index.add(fact)
    assert view.total(DemandMatched, "persons") == 19 - 1 + 5
    assert view.without("demand/D", "recruitment", (SOURCE, "again")).total(DemandMatched, "persons") == 18


@given(STEPS, st.integers(0, 30))
@MANY
def test_a_correction_taken_back_changes_nothing(steps: list[tuple[str, int, int, int]], meant: int) -> None:
    log = Log(steps)
    before = in_force(View(log.facts))
    present = sorted(standing(log.facts))
    if not present:
        return
    target = log.first[present[meant % len(present)]]
    latest = next(f for f in reversed(log.facts) if f.report_id == target.report_id and not f.event.decision)
    log.add("correction", target.stream, latest.event, corrects=target.report_id)
    # In its place, with the same end and before the same others: only the id is another.
    swapped = [name if name != target.report_id else "correction" for name in ids(before)]
    assert ids(in_force(View(log.facts))) == swapped
    log.add("undo", target.stream, ReportRetracted(report_id="correction", reason="误报"))
    assert in_force(View(log.facts)) == before


@given(STEPS)
@MANY
def test_an_end_is_attached_to_one_thing_opened_before_it(steps: list[tuple[str, int, int, int]]) -> None:
    view = View(Log(steps).facts)
    for stream in {fact.stream for fact in view.facts}:
        for place in view.on(stream):
            if place.end is not None:
                assert place.end.stream == stream
                assert view.ended_by("recruitment", (SOURCE, place.end.report_id)) is place
    for orphan in view.orphans:
        assert view.ended_by("recruitment", (SOURCE, orphan.report_id)) is None


@given(STEPS)
@MANY
def test_what_does_not_stand_says_why(steps: list[tuple[str, int, int, int]]) -> None:
    log = Log(steps)
    view, there = View(log.facts), standing(log.facts)
    for id_ in log.first:
        fate = view.fate("recruitment", (SOURCE, id_))
        if id_ in there:
            assert fate is None
        else:
            assert fate is not None or id_ in suspended(log.facts)


# RULES A23


@given(STEPS)
@MANY
def test_the_same_content_under_another_id_is_seen_while_it_stands(steps: list[tuple[str, int, int, int]]) -> None:
    log = Log(steps)
    view = View(log.facts)
    standing_ids = {it.fact.report_id for stream in view.streams for it in view.on(stream)}
    evolved = FactIndex()
    for fact in log.facts:
        evolved.add(fact)
        evolved.view([fact.stream])  # folds the stream, so that the next fact evolves it
    for fact in log.first.values():
        alike = {
            other.report_id
            for other in log.first.values()
            if (other.stream, other.type, other.body, other.happened_on)
            == (fact.stream, fact.type, fact.body, fact.happened_on)
        } & standing_ids
        for corrects in (None, fact.report_id):
            report = replace(fact.as_report(b"", START), id="new", corrects=corrects)
            expected = isinstance(fact.event, DemandMatched) and bool(alike - {corrects})
            assert view.says(report, "recruitment") is expected
            assert evolved.view([fact.stream]).says(report, "recruitment") is expected
        own = replace(fact.as_report(b"", START), corrects=None)
        assert view.says(own, "recruitment") is (
            isinstance(fact.event, DemandMatched) and bool(alike - {fact.report_id})
        )
        elsewhere = replace(own, id="new", district="330602")
        assert not view.says(elsewhere, "recruitment")


def test_what_is_sealed_of_a_person_plays_no_part_in_same_content() -> None:
    claim = {"person": {"token": "t", "sealed": "a"}, "n": 1}
    same = {"n": 1, "person": {"token": "t", "sealed": "b"}}
    log = Log([("open", 3, 0, 0), ("end", 3, 0, 1)])
    matched = log.facts[-1]
    matched.body = claim
    report = replace(matched.as_report(b"", START), id="new", body=same)
    assert View(log.facts).says(report, "recruitment")
    assert not View(log.facts).says(replace(report, body=same | {"n": 2}), "recruitment")
