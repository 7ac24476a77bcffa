"""Nobody acts for another (RULES G1 to G4): whose a subject is, what is the city's alone, assigning and voiding."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.projection.counting.lines import CompiledPlans
from shared.contract.decoder import Channel
from shared.contract.events import NotUnderstood
from shared.service.kafka_consumer import KafkaMessage
from shared.service.kafka_reports import KafkaReports
from tests.contract.vocabulary import ONLY_THE_CITY, VOCABULARY
from tests.harness.apis import handler_of, nowhere
from tests.harness.in_memory_store import InMemoryStore
from tests.harness.service import LATER, opening_of, plans, prerequisites, report
from tests.harness.service_in_memory import ReportFields, ServiceInMemory

HOME: Final = "/districts/330681/a"
OTHER: Final = "/districts/330602/b"
CITY: Final = "/districts/330600/plan-office"
(PLAN,) = [plan for plan in plans() if plan.id == "shaoxing-2023-2025"]
COMPILED: Final = CompiledPlans([PLAN])
DAY: Final = date(2024, 12, 31)
FOREVER: Final = datetime(2100, 1, 1, tzinfo=UTC)
SUBJECTS_OF: Final = {
    "enrollment": "facility/F-1", "competition": "session/S-1", "recruitment": "fair/F-1", "subsidy": "claim/C-1",
    "planning": "target/shaoxing-2023-2025/1.3.a",
}  # fmt: skip
TYPES: Final = [
    (service, name) for service, table in VOCABULARY.items() for name in table if name != "population-reported"
]


def logs() -> dict[str, ServiceInMemory]:
    return {service: ServiceInMemory(service) for service in VOCABULARY}


def hire(id_: str = "hire", source: str = HOME, **changes: Any) -> ReportFields:
    return report("recruitment", "person-hired", id_, source=source, **changes)


def hire_ended(id_: str = "end", source: str = HOME, **changes: Any) -> ReportFields:
    return report("recruitment", "hire-ended", id_, source=source, **changes)


def kernel(name: str, of: ReportFields, id_: str, data: dict[str, str], sender: str = CITY) -> ReportFields:
    """Return a report of one of the kernel's own types, on the subject of another report."""
    service = of["type"].split(".")[1]
    sent = {"specversion": "1.0", "subject": of["subject"], "type": f"skillplan.{service}.{name}.v1", "id": id_}
    sent |= {"source": sender, "district": sender.split("/")[2], "time": "2024-12-01T08:00:00+08:00"}
    return sent | {"data": data | {"reason": "查实"}}


def assigned(of: ReportFields, to: str, id_: str = "assign", **changes: Any) -> ReportFields:
    return kernel("subject-assigned", of, id_, {"to": to}) | changes


def voided(of: ReportFields, id_: str = "void") -> ReportFields:
    return kernel("report-voided", of, id_, {"source": of["source"], "report_id": of["id"]})


def retracted(of: ReportFields, id_: str = "undo") -> ReportFields:
    return kernel("report-retracted", of, id_, {"report_id": of["id"]}, of["source"])


def prepared(service: str, name: str) -> dict[str, ServiceInMemory]:
    """Return services that have accepted all that a type's sample needs, reported by its own district."""
    every = logs()
    for home, needed in prerequisites(service, name):
        every[home].say(report(home, needed, source=CITY if needed in ONLY_THE_CITY else HOME))
        if home != service:
            every[service].hear(every[home])
    return every


@pytest.mark.parametrize(("service", "name"), TYPES)
def test_another_districts_report_on_a_subject_is_refused_and_the_citys_is_not(service: str, name: str) -> None:
    log = prepared(service, name)[service]
    if name in ONLY_THE_CITY:
        log.say(report(service, name, "theirs", source=OTHER), "refused", "only-the-city")
        log.say(report(service, name, "theirs", source=CITY))  # it bound nothing (A3)
        return
    if opening_of(service, name) is None:
        log.say(report(service, name, "home", source=HOME))
    receipt = log.say(report(service, name, "theirs", source=OTHER), "refused", "not-yours")
    assert receipt["reasons"][0]["pointer"] == "/subject"
    assert not {"330681", "2024"} & set(receipt["reasons"][0]["zh"] + receipt["reasons"][0]["en"])
    by_city = log.send(report(service, name, "citys", source=CITY))[0]
    assert [reason["code"] for reason in by_city["reasons"]] != ["not-yours"], by_city
    if opening_of(service, name) is not None or VOCABULARY[service][name].role == "stands":
        assert by_city["status"] == "accepted", by_city


def test_the_receipt_says_who_may_and_that_the_city_can_put_it_right() -> None:
    log = ServiceInMemory("recruitment")
    log.say(hire())
    log.say(hire_ended(source=OTHER), "refused", "not-yours")
    (reason,) = log.receipts()[-1]["reasons"]
    assert reason["pointer"] == "/subject"
    assert all(part in reason["zh"] for part in ("由其所属区划报告", "上级主管部门改定归属", "由其代为报告"))
    assert all(part in reason["en"] for part in ("which alone reports", "assign it to you", "report it itself"))
    assert "330681" not in json.dumps(reason), "not whose it is (RULES G6)"


@pytest.mark.parametrize("service", [*VOCABULARY, "planning"])
def test_only_the_city_assigns_and_voids(service: str) -> None:
    log = ServiceInMemory(service)
    of = {"type": f"skillplan.{service}.x.v1", "subject": SUBJECTS_OF[service]}
    assign = kernel("subject-assigned", of, "a", {"to": "330681"}, HOME)
    void = kernel("report-voided", of, "v", {"source": OTHER, "report_id": "x"}, HOME)
    for sent in (assign, void):
        receipt = log.say(sent, "refused", "only-the-city")
        assert receipt["reasons"][0]["pointer"] == "/district"
    city = {"source": CITY, "district": "330600"}
    keyed = Channel(prefixes=("/districts/330600",), for_whole=False)
    assert [r["status"] for r in log.send(assign | city, channel=keyed)] == ["accepted"]
    refused = log.send(void | city, channel=keyed)[0]
    assert [reason["code"] for reason in refused["reasons"]] == ["not-your-source"]
    log.say(void | city, "waiting")


class TestWhoseItIs:
    """RULES G1."""

    def test_it_is_judged_behind_what_a_correction_names_and_before_the_types_own_rules(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(hire())
        log.say(hire_ended("corrects", OTHER) | {"corrects": "never"}, "waiting")
        early = hire_ended("early", OTHER, on="2020-01-01")
        log.say(early, "refused", "not-yours")
        log.say(hire("future", OTHER) | {"time": "2030-01-01T00:00:00+08:00"}, "refused", "in-the-future")

    def test_what_waits_is_judged_when_it_is_decided(self) -> None:
        log = ServiceInMemory("recruitment")
        theirs, own = hire_ended("theirs", OTHER), hire_ended("own")
        log.say(theirs, "waiting")
        log.say(own, "waiting")
        log.say(hire())
        assert log.now(theirs) == ("refused", ["not-yours"], [])
        assert log.now(own) == ("accepted", [], [])

    def test_what_was_ended_is_still_whose_it_was_and_what_was_retracted_is_nobodys(self) -> None:
        log = ServiceInMemory("recruitment")
        opened = hire()
        log.say(opened)
        log.say(hire_ended())
        log.say(hire("anew", OTHER, on=LATER), "refused", "not-yours")
        log.say(retracted(opened))
        log.say(hire("theirs", OTHER))
        # The first district's end waits since its opening is gone; now it would end another's.
        assert log.now(hire_ended()) == ("refused", ["not-yours"], [])

    def test_a_correction_keeps_the_place_of_its_original(self) -> None:
        log = ServiceInMemory("enrollment")
        first = report("enrollment", "staffing-reported", "first", source=HOME)
        log.say(first)
        log.say(report("enrollment", "staffing-reported", "citys", source=CITY))
        log.say(first | {"id": "again", "corrects": "first"})
        log.say(report("enrollment", "staffing-reported", "later", source=HOME))
        log.say(report("enrollment", "staffing-reported", "theirs", source=OTHER), "refused", "not-yours")

    def test_what_the_city_opened_is_the_citys(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(hire("citys", CITY))
        log.say(hire_ended(), "refused", "not-yours")

    def test_a_district_reports_on_what_its_former_code_opened(self) -> None:
        log = ServiceInMemory("recruitment", successors={"330681": "330602"})
        log.say(hire())
        log.say(hire_ended("theirs", OTHER.replace("330602", "330683")), "refused", "not-yours")
        log.say(hire_ended("successor", OTHER))

    def test_a_class_of_one_district_takes_a_student_of_another(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(report("recruitment", "cooperation-class-opened", source=HOME))
        log.say(report("recruitment", "student-joined-class", source=OTHER))


class TestAssigning:
    """RULES G3."""

    def test_from_its_recording_the_subject_belongs_to_another(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(hire())
        assignment = assigned(hire(), "330602")
        log.say(assignment)
        log.say(hire_ended("late"), "refused", "not-yours")
        log.say(hire() | {"id": "corrected", "corrects": "hire"})  # one's own report stays one's own to put right
        log.say(hire_ended("theirs", OTHER))
        log.say(retracted(assignment))
        log.say(retracted(hire_ended("theirs", OTHER), "undo-end"))
        log.say(hire_ended("mine"))

    def test_a_correction_does_not_reach_another_things_end_on_a_subject_that_is_anothers_now(self) -> None:
        log = ServiceInMemory("subsidy")
        signed = report("subsidy", "wage-agreement-signed", source=HOME)
        ended = report("subsidy", "wage-agreement-ended", source=HOME)
        log.send(signed, ended, assigned(signed, "330602"))
        theirs = report("subsidy", "wage-agreement-signed", "theirs", source=OTHER, agreement_no="GZ-9")
        log.say(theirs)
        reaching = report(
            "subsidy", "wage-agreement-ended", "c1", source=HOME, agreement_no="GZ-9", corrects=ended["id"]
        )
        log.say(reaching, "refused", "not-yours")
        log.say(ended | {"id": "c2", "corrects": ended["id"]})

    def test_the_last_recorded_holds_and_a_correction_counts_from_its_own_recording(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(hire())
        first, second = assigned(hire(), "330602", "1"), assigned(hire(), "330683", "2")
        log.send(first, second)
        log.say(hire_ended("a", OTHER), "refused", "not-yours")
        log.say(assigned(hire(), "330602", "3", corrects="1"))
        log.say(hire_ended("b", OTHER))

    def test_a_subject_can_be_assigned_before_anything_is_reported_on_it(self) -> None:
        log = ServiceInMemory("recruitment")
        log.say(assigned(hire(), "330602"))
        log.say(hire(), "refused", "not-yours")
        log.say(hire("theirs", OTHER))

    def test_taking_back_an_assignment_flags_no_grant(self) -> None:
        every = logs()
        for home, needed in prerequisites("subsidy", "subsidy-claimed"):
            every[home].say(report(home, needed))
            if home == "competition":
                every["competition"].say(assignment := assigned(report(home, needed), "330602"))
                every["competition"].say(retracted(assignment))
                every["subsidy"].hear(every["competition"])
        claim = report("subsidy", "subsidy-claimed")
        every["subsidy"].say(claim)
        assert every["subsidy"].now(claim) == ("accepted", [], [])


class TestVoiding:
    """RULES G4."""

    def test_a_voided_report_counts_as_never_made_and_says_so(self) -> None:
        log = ServiceInMemory("recruitment")
        opened, ended = hire(), hire_ended()
        log.send(opened, ended)
        receipt = log.say(voided(opened))
        assert (receipt["district"], receipt["stream"]) == ("330600", opened["subject"])
        assert log.now(opened) == ("accepted", [], ["voided"])
        assert log.now(ended) == ("waiting", [], [])  # B6
        log.say(retracted(opened), "refused", "already-retracted")
        log.say(voided(opened, "twice"), "refused", "already-retracted")
        log.say(opened | {"id": "corrected", "corrects": "hire"}, "refused", "already-retracted")
        repeated = log.say(opened, "duplicate")
        assert repeated["first"]["flags"] == ["voided"]
        log.say(hire("theirs", OTHER))  # nobody's again

    def test_the_city_may_retract_it_and_the_report_stands_again(self) -> None:
        log = ServiceInMemory("recruitment")
        opened, ended, void = hire(), hire_ended(), voided(hire())
        log.send(opened, ended, void)
        log.say(retracted(void))
        assert log.now(opened) == ("accepted", [], [])
        assert log.now(ended) == ("accepted", [], [])
        assert [fact["type"].split(".")[2] for fact in log.facts()] == [
            "person-hired", "hire-ended", "report-voided", "report-suspended", "report-retracted", "report-restored",
            "hire-ended",
        ]  # fmt: skip
        log.say(retracted(void, "again"), "refused", "already-retracted")
        log.say(voided(opened, "anew"))
        assert log.now(opened) == ("accepted", [], ["voided"])

    def test_what_stands_again_and_breaks_a_rule_is_flagged(self) -> None:
        log = ServiceInMemory("recruitment")
        void = voided(hire())
        log.send(hire(), void, hire("theirs", OTHER))
        log.say(retracted(void))
        assert log.now(hire()) == ("accepted", [], ["needs-review"])

    def test_a_voided_end_is_open_again_and_what_was_opened_since_keeps_it(self) -> None:
        log = ServiceInMemory("recruitment")
        log.send(hire(), hire_ended())
        log.say(voided(hire_ended()))
        log.say(hire_ended("anew"))
        log.say(hire("second", on=LATER))
        log.say(voided(hire_ended("anew"), "late"), "refused", "opened-again")  # B7

    def test_a_voided_correction_lets_its_original_stand_again(self) -> None:
        log = ServiceInMemory("recruitment")
        corrected = hire("correction", channel="other") | {"corrects": "hire"}
        log.send(hire(), corrected)
        log.say(voided(hire(), "original"), "refused", "already-corrected")
        log.say(voided(corrected))
        log.say(hire("third") | {"corrects": "hire"})

    def test_what_waits_is_closed_and_what_never_came_is_waited_for(self) -> None:
        log = ServiceInMemory("recruitment")
        ended = hire_ended("theirs", OTHER)
        void = voided(ended)
        receipt = log.say(void, "waiting")
        assert receipt["waits_for"] == "report/theirs"
        log.say(ended, "waiting")
        assert log.now(void) == ("accepted", [], [])
        assert log.now(ended) == ("refused", ["retracted"], ["voided"])  # B9
        log.say(hire())
        assert log.now(ended) == ("refused", ["retracted"], ["voided"])
        refused = hire_ended("refused", OTHER)
        log.say(refused, "refused", "not-yours")
        log.say(voided(refused, "v2"), "refused", "nothing-to-retract")
        log.say(voided(void, "v3"), "refused", "nothing-to-retract")
        log.say(voided(hire(), "v4") | {"subject": "hire/another"}, "refused", "other-subject")

    def test_a_paid_claim_is_not_voided_and_a_grant_on_a_voided_certificate_is_flagged(self) -> None:
        every = prepared("subsidy", "subsidy-paid")
        log, issuing = every["subsidy"], every["competition"]
        claim = report("subsidy", "subsidy-claimed", source=HOME)
        paid = report("subsidy", "subsidy-paid", source=HOME)
        log.say(paid)
        log.say(voided(claim), "refused", "already-paid")  # D10
        log.say(voided(paid, "payment"))
        void = voided(report("competition", "certificate-issued", source=HOME))
        issuing.say(void)
        log.hear(issuing)
        assert log.now(claim) == ("accepted", [], ["needs-review"])  # B14
        later = report("subsidy", "subsidy-claimed", "later", subject="claim/later", source=HOME)
        log.say(later, "waiting")
        issuing.say(retracted(void))
        log.hear(issuing)
        assert log.now(later) == ("refused", ["already-granted"], [])

    def test_a_revised_target_can_be_voided_and_its_subject_assigned(self) -> None:
        log = ServiceInMemory("planning")
        split = {
            "specversion": "1.0", "id": "t", "source": CITY, "district": "330600", "time": "2024-12-01T08:00:00+08:00",
            "type": "skillplan.planning.target-revised.v1", "subject": "target/shaoxing-2023-2025/1.3.a",
            "data": {
                "plan": "shaoxing-2023-2025", "indicator": "1.3.a", "op": ">=", "value": 3600,
                "effective_from": "2024-12-01", "by": "计划办公室",
            },
        }  # fmt: skip
        log.say(split)
        log.say(assigned(split, "330602"))
        log.say(voided(split))
        assert log.now(split) == ("accepted", [], ["voided"])


async def test_once_keys_are_set_nobody_voids_by_way_of_a_broker_that_asks_for_no_users() -> None:
    """RULES G4: it takes an office's key then, and whoever reaches such a broker shows none. Assigning goes on (G3)."""
    keys: list[str] = []
    reports = KafkaReports(handler_of("recruitment", nowhere()), with_keys=lambda: bool(keys))

    async def decoded(sent: ReportFields) -> list[str]:
        raw = orjson.dumps(sent)
        message = KafkaMessage("recruitment.reports.330600", 0, 0, None, raw, (), datetime.now(UTC).timestamp())
        (arrived,) = (await reports.decode([message])).arrived
        return [reason.code for reason in arrived.reasons] if isinstance(arrived, NotUnderstood) else []

    assert [await decoded(sent) for sent in (voided(hire()), assigned(hire(), "330602"))] == [[], []]
    keys.append("the first")
    assert [await decoded(sent) for sent in (voided(hire()), assigned(hire(), "330602"))] == [["not-your-source"], []]


# What three districts may send at random: on hires, fairs and demands, three of each, with persons of their own.
HOMES: Final = (HOME, OTHER, "/districts/330683/c")
KINDS: Final = ("person-hired", "hire-ended", "fair-held", "fair-cancelled", "demand-raised", "demand-matched")
NUMBERS: Final = (("4.1.a", "2024"), ("4.1.b", "2024"), ("4.3.a", "plan"), ("4.3.b", "plan"))
SUBJECTS: Final = {"person-hired": "hire", "hire-ended": "hire", "fair-held": "fair", "fair-cancelled": "fair"}
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 2), st.sampled_from(("report", "report", "correct", "retract", "city")),
        st.integers(0, len(KINDS) - 1), st.integers(0, 40), st.integers(1, 27),
    ),
    max_size=30,
)  # fmt: skip


def of_home(home: int) -> dict[str, str]:
    """Return a made-up person of one of the homes."""
    return {"id_number": f"E{home}1234567", "id_type": "passport"}


def written(steps: list[tuple[int, int, str, int, int, int]]) -> list[ReportFields]:
    """Return reports of three districts and the city; each subject has a home, and others report on it, too."""
    sent: list[ReportFields] = []
    for number, (sender, home, what, kind, named, day) in enumerate(steps):
        source, name, on = (*HOMES, CITY)[sender], KINDS[kind], f"2024-06-{day:02d}"
        subject = f"{SUBJECTS.get(name, 'demand')}/{home}"
        person: dict[str, Any] = {"person": of_home(home)} if name == "person-hired" else {}
        made = report("recruitment", name, f"r{number}", on, source=source, subject=subject, **person)
        of = sent[named % len(sent)] if sent else None
        if what == "correct" and of is not None and "report_id" not in of["data"] and "to" not in of["data"]:
            sent.append(of | {"id": f"r{number}", "source": source, "district": made["district"], "corrects": of["id"]})
        elif what == "retract" and of is not None:
            sent.append(kernel("report-retracted", of, f"r{number}", {"report_id": of["id"]}, source))
        elif what == "city" and of is not None:
            sent.append(voided(of, f"r{number}") if day % 2 else assigned(of, made["district"], f"r{number}"))
        else:
            sent.append(made)
    return sent


def seen_by(sources: Sequence[str], sent: list[ReportFields]) -> dict[str, tuple[list[Any], list[Any], list[Any]]]:
    """Return each district's facts, its receipts in force, of which its page is made, and its numbers, after all."""
    log, store = ServiceInMemory("recruitment"), InMemoryStore(COMPILED)
    log.send(*sent)
    every = log.facts()
    store.apply(every)
    result = {}
    for source in sources:
        receipts = [receipt for receipt in log.receipts() if receipt.get("source") == source and "first" not in receipt]
        own = {receipt["id"]: receipt for receipt in receipts}
        numbers = [
            store.cell(PLAN, PLAN.indicators[id_][1], source.split("/")[2], period, DAY, FOREVER)
            for id_, period in NUMBERS
        ]
        facts = [_seen(fact) for fact in every if fact["reportsource"] == source]
        result[source] = facts, [_seen(receipt) for receipt in own.values()], numbers
    return result


def _seen(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out what other reports move or chance makes: positions, versions, instants, ids, what is sealed."""
    own = ["type", "subject", "district", "reportid", "corrects", "status", "reasons", "flags", "waits_for"]
    seen = {name: body[name] for name in own if name in body}
    data = {name: value for name, value in body.get("data", {}).items() if name != "person"}
    return seen | {"id": body.get("reportid", body["id"]), "data": data}


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_nothing_of_a_district_changes_by_what_another_sends(steps: list[tuple[int, int, str, int, int, int]]) -> None:
    every = written(steps)
    # They do not race for a subject that is nobody's: its home has opened each before.
    first = []
    for at, home in enumerate(HOMES):
        person: dict[str, Any] = {"person": of_home(at)}
        for name, subject, data in (
            ("person-hired", f"hire/{at}", person),
            ("fair-held", f"fair/{at}", {}),
            ("demand-raised", f"demand/{at}", {}),
        ):
            first.append(
                report("recruitment", name, f"first-{name}", "2024-01-01", source=home, subject=subject, **data)
            )
    seen = seen_by(HOMES, first + every)
    for district in HOMES:
        alone = [sent for sent in every if sent["source"] in (district, CITY)]
        assert seen[district] == seen_by([district], first + alone)[district]
