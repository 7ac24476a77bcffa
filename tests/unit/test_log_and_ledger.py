"""A service's log and the ledger agree on what is in force, whatever is corrected, retracted, voided (RULES B, G4)."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalogue import DOMAIN_SERVICES
from shared.deciding.facts import decode_fact
from shared.deciding.stream_fold import StreamFold
from tests.harness.in_memory_store import InMemoryStore
from tests.harness.service import report
from tests.harness.service_in_memory import ReportFields, ServiceInMemory
from tests.unit.test_ownership import COMPILED, DAY, FOREVER, HOME, PLAN, hire, retracted, voided

# What opens a thing and what ends it: from a date on, or as if it had never been; and the number that it makes.
BODY: Final = ("enrollment", "evaluation-body-accredited", "evaluation-body-withdrawn", "1.4.a", "plan")
FAIR: Final = ("recruitment", "fair-held", "fair-cancelled", "4.1.a", "2024")
HIRE: Final = ("recruitment", "person-hired", "hire-ended", "4.1.b", "2024")
Thing = tuple[str, str, str, str, str]


def counted_and_in_force(log: ServiceInMemory, thing: Thing, batch: int = 1) -> tuple[object, object]:
    """Return which reports' facts are in force, and the number that they make: by the ledger, and by the log."""
    service, _, _, id_, period = thing
    facts = log.facts()
    store = InMemoryStore(COMPILED)
    for first in range(0, len(facts), batch):
        store.apply(facts[first : first + batch])
    fold = StreamFold(decode_fact({service: DOMAIN_SERVICES[service].language}, fact, ()) for fact in facts)
    fed = {row.position for row in store.rows.values()}
    in_force = [
        fact.report_id
        for fact in fold.facts
        if fact.position in fed
        and fold.counts(origin := (fact.service, (fact.report_source, fact.report_id)))
        and any(recorded.position == fact.position for recorded in fold.facts_of(origin))
    ]
    counted = {(row.position, row.report_id) for row in store.rows.values() if row.in_force.now}
    _, indicator = PLAN.indicators[id_]
    if indicator.basis == "level":
        is_there = any(it.open_on(DAY) for it in fold.in_force)
    else:  # cancelled, it is out of every period, however often it was opened (RULES C5)
        is_there = bool(fold.in_force) and not any(it.void for it in fold.in_force)
    by_ledger = (sorted(id_ for _, id_ in counted), store.cell(PLAN, indicator, None, period, DAY, FOREVER)[0])
    return by_ledger, (sorted(in_force), int(is_there))


def corrected(of: ReportFields, id_: str, on: str) -> ReportFields:
    """Return a correction of a report, dated otherwise."""
    service, name = of["type"].split(".")[1:3]
    return report(service, name, id_, on, source=of["source"], corrects=of["id"])


def test_both_corrections_stand_once_the_voiding_of_the_first_is_retracted_and_each_can_be_taken_back() -> None:
    original = hire("original")
    first, second = corrected(original, "first", "2024-06-02"), corrected(original, "second", "2024-06-03")
    void = voided(first)
    for taken_back, other in ((first, second), (second, first)):
        log = ServiceInMemory("recruitment")
        for sent in (original, first, void, second, retracted(void)):
            log.say(sent)
        assert log.now(first) == ("accepted", [], ["needs-review"])  # B15
        both = (["first", "second"], 1)
        assert counted_and_in_force(log, HIRE) == (both, both)
        for sent, left in ((taken_back, other["id"]), (other, "original")):  # B1
            log.say(retracted(sent, f"undo-{sent['id']}"))
            assert counted_and_in_force(log, HIRE) == (([left], 1), ([left], 1))


def test_a_waiting_correction_that_was_voided_stays_closed_and_what_it_replaced_stands() -> None:
    service, opening, ending, *_ = BODY
    log = ServiceInMemory(service)
    opened, ended = report(service, opening, "open", source=HOME), report(service, ending, "end", source=HOME)
    fixed = corrected(ended, "fixed", "2024-08-01")
    for sent in (opened, ended, fixed, retracted(opened, "gone")):
        log.say(sent)
    assert log.now(fixed)[0] == "waiting"  # B6
    void = voided(fixed)
    log.say(void)
    log.say(report(service, opening, "anew", source=HOME))
    assert log.now(ended)[0] == "accepted"
    log.say(retracted(void))
    assert log.now(fixed)[:2] == ("refused", ["retracted"])  # B9: it had its last receipt
    assert counted_and_in_force(log, BODY) == ((["anew", "end"], 0), (["anew", "end"], 0))


# As in logs from before a subject was its district's and before facts said by whom they were reported.
OLD: Final = {
    "specversion": "1.0", "source": "/services/enrollment", "datacontenttype": "application/json",
    "subject": "evaluation-body/123306020000000119", "correlationid": "c", "causationid": "c",
}  # fmt: skip
OPENED: Final = {
    "body": {"credit_code": "123306020000000119", "name": "样本机构"}, "kind": "school",
}  # fmt: skip


def old_fact(position: int, name: str, district: str, day: str, data: Mapping[str, object]) -> dict[str, Any]:
    """Return a fact of an old log, reported by a district."""
    own = {"id": f"01900000-0000-7000-8000-{position:012d}", "type": f"skillplan.enrollment.{name}.v1"}
    own |= {"time": f"{day}T09:30:00+08:00", "recordedat": f"{day}T01:31:00.000000Z", "district": district}
    own |= {"reportsource": f"/districts/{district}/a", "reportid": f"old-{position}"}
    return OLD | own | {"position": position, "version": position, "data": data}


def test_a_log_from_before_subjects_were_their_districts_is_in_force_and_counts_as_it_did() -> None:
    """No rule is asked again of what is stored: another district's end stands, and is its own to take back."""
    service, opening, ending, *_ = BODY
    facts = [
        old_fact(1, opening, "330681", "2024-02-01", OPENED),
        old_fact(2, ending, "330602", "2024-05-06", {"reason": "到期未续"}),
        old_fact(3, opening, "330683", "2024-07-01", OPENED),
    ]
    log = ServiceInMemory(service)
    log.restore(facts)
    assert [fact.get("reportedby") for fact in log.facts()] == [None, None, None]
    everything = (["old-1", "old-2", "old-3"], 1)
    assert counted_and_in_force(log, BODY) == (everything, everything)
    theirs = {"subject": OLD["subject"], "type": facts[1]["type"], "id": "old-2", "source": "/districts/330602/a"}
    log.say(
        report(service, ending, "now", source="/districts/330602/a", subject=str(OLD["subject"])),
        "refused",
        "not-yours",
    )
    log.say(retracted(theirs), "refused", "opened-again")  # B7, not G1: it is its own report
    log.say(report(service, ending, "first", source=HOME, subject=str(OLD["subject"])))  # G1: whose was recorded first
    both = (["first", "old-1", "old-2", "old-3"], 0)
    assert counted_and_in_force(log, BODY) == (both, both)


def sent_at_random(thing: Thing, rnd: Random) -> ServiceInMemory:
    """Send reports on one thing, and corrections, retractions, voidings and their retractions of any of them."""
    service, opening, ending, *_ = thing
    log, sent = ServiceInMemory(service), [report(service, opening, "r0", "2024-06-01", source=HOME)]
    log.say(sent[0])
    for number in range(1, rnd.randint(4, 14)):
        id_, on = f"r{number}", f"2024-06-{rnd.randint(1, 3):02d}"
        of = rnd.choice([it for it in sent if "report_id" not in it["data"]])
        voidings = [it for it in sent if it["type"].endswith(".report-voided.v1")]
        match rnd.choice(["open", "end", *("correct", "retract", "void", "unvoid") * 2]):
            case "open":
                sent.append(report(service, opening, id_, on, source=HOME))
            case "end":
                sent.append(report(service, ending, id_, on, source=HOME))
            case "correct":
                sent.append(corrected(of, id_, on))
            case "retract":
                sent.append(retracted(of, id_))
            case "void":
                sent.append(voided(of, id_))
            case _ if voidings:
                sent.append(retracted(rnd.choice(voidings), id_))
            case _:
                continue
        log.send(sent[-1])
    return log


@pytest.mark.parametrize("thing", [BODY, FAIR, HIRE], ids=lambda thing: thing[1])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_ledger_counts_what_the_log_has_in_force(thing: Thing, seed: int) -> None:
    rnd = Random(seed)  # noqa: S311 - evenly spread choices find more collisions than shrinkable ones
    log = sent_at_random(thing, rnd)
    counted, in_force = counted_and_in_force(log, thing, rnd.randint(1, 6))
    assert counted == in_force, [(fact["type"].split(".")[2], fact["reportid"]) for fact in log.facts()]
