"""What a caller may see of others (RULES G6), apart from any route; an integration test of this name has the routes."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest

from services.catalogue import DOMAIN_SERVICES
from services.projection.exports.spool import spooled
from services.projection.queries.others import FactSieve
from shared.contract.rules import Rule
from shared.http.access import Caller
from shared.http.api_keys import Key, Role, Secret
from shared.http.problems import Problem
from shared.http.visibility import Visibility, visibility

OWN, OTHER = "/districts/330681/certificates", "/districts/330602/certificates"
FACTS = [
    {"report_source": OWN, "type": "a", "counted_on": "2024-03-02", "subject": "hire/OWN"},
    {"report_source": OTHER, "type": "a", "counted_on": "2024-03-02", "subject": "hire/OTHER"},
    {"report_source": OTHER, "type": "b", "counted_on": "2024-03-01", "subject": "hire/OTHER"},
    {"report_source": OTHER, "type": "a", "counted_on": "2024-03-02", "subject": "hire/OTHER"},
]


def holder(role: Role, *prefixes: str) -> Caller:
    secret = Secret(mac="0" * 64)
    return Caller(Key(id="0" * 8, role=role, prefixes=prefixes, created_at=datetime.now(UTC), secrets=(secret,)))


@pytest.mark.parametrize("role", [Role.PLANNER, Role.OPERATOR, Role.AUDITOR, Role.SERVICE])
def test_whoever_answers_for_the_whole_sees_all(role: Role) -> None:
    assert visibility(holder(role, *(["/districts/330600/"] if role is Role.PLANNER else []))) == Visibility()


def test_while_no_keys_are_set_all_is_seen() -> None:
    assert visibility(Caller()).sees(OTHER)


def test_a_district_sees_its_own_facts_and_how_many_there_are_of_others() -> None:
    sieve = FactSieve(visibility(holder(Role.DISTRICT, "/districts/330681/hires")))
    assert [fact["subject"] for fact in sieve.seen(FACTS, "counted_on")] == ["hire/OWN"]
    assert sieve.others() == [
        {"day": "2024-03-01", "type": "b", "count": 1},
        {"day": "2024-03-02", "type": "a", "count": 2},
    ]


def test_a_district_sees_what_was_reported_under_its_former_code() -> None:
    own = visibility(holder(Role.DISTRICT, "/districts/330681/"), {"330602": "330681", "330621": "330603"})
    assert own.sees(OTHER)
    assert not own.sees("/districts/330621/x")


def test_a_reader_sees_figures_alone() -> None:
    sieve = FactSieve(visibility(holder(Role.READER)))
    assert sieve.seen(FACTS, "counted_on") == []
    assert sieve.others() is None


async def parts(*given: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in given:
        yield part
    if error is not None:
        raise error


async def test_a_spool_gives_back_what_went_in() -> None:
    given = [b"", b"a" * 5_000_000, bytes(range(256)) * 20_000, b"end"]
    sent = [part async for part in await spooled(parts(*given))]
    assert b"".join(sent) == b"".join(given)
    assert max(map(len, sent)) <= 65_536


async def test_a_full_disk_is_a_problem_and_no_half_file() -> None:
    with pytest.raises(Problem, match="Too many exports"):
        await spooled(parts(b"x", error=OSError(28, "No space left on device")))


# What the texts of a refusal fill in: all of it stands in the report itself, in the plan or in what its sender said.
FILLED = {
    "BadSubject": {"form"}, "BadValue": {"expected"}, "SendTo": {"service"}, "NeverArrived": {"days"},
    "NeverRead": {"count"}, "NoHonour": {"days"}, "AlreadyCorrected": {"by"}, "NotJson": {"seen_zh", "seen_en"},
    "PartsExceedTotal": {"part", "whole"}, "PlanNotValid": {"count"}, "NeverInForce": {"last"},
    "PartsDoNotAddUp": {"sum", "whole", "gap"}, "ReasonNeeded": {"month"},
    "VersionEnded": {"until", "newest"},
    "NotApproved": {"districts"}, "NotWitnessed": {"zh", "en"},  # to the plan office alone
}  # fmt: skip


def test_no_refusal_fills_in_what_another_district_reported() -> None:
    for service in DOMAIN_SERVICES:
        import_module(f"services.{service}.decider")
    filled = {
        rule.__name__: set(re.findall(r"{(\w+)}", rule.zh + rule.en))
        for rule in every_rule(Rule)
        if rule.__module__.startswith(("services.", "shared.")) and "{" in rule.zh
    }
    assert filled == FILLED


def every_rule(rule: type[Rule]) -> Iterator[type[Rule]]:
    for child in rule.__subclasses__():
        yield child
        yield from every_rule(child)
