"""What districts and the city try on one another's subjects by way of Kafka, and what is answered (RULES G1 to G5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from tests.harness.processes import System, eventually
from tests.harness.reports import hire_ended, person_hired, report

MINE, OTHERS, CITY = "330681", "330602", "330600"
SERVICES: Final = ("recruitment", "competition")


class Attempt(NamedTuple):
    """A report, and what is answered: the status, the code of the reason, whose the fact is."""

    sent: dict[str, Any]
    status: str
    code: str | None = None


def attempts(*, named: bool) -> list[Attempt]:
    """Return reports in the order in which they are sent, each once the one before is answered.

    `named`: the broker asks for users; then nobody may void by way of Kafka (RULES G4).
    """
    hired = _by(MINE, person_hired("whose"))
    voided = {"source": hired["source"], "report_id": hired["id"], "reason": "查实"}
    series = {"series": "arts-and-crafts"}
    by_other = "not-your-source" if named else "only-the-city"
    by_city = ("refused", "not-your-source") if named else ("accepted",)
    return [
        Attempt(hired, "accepted"),
        Attempt(_by(OTHERS, hire_ended("whose"), "theirs"), "refused", "not-yours"),  # G1
        Attempt(_series(MINE, series), "refused", "only-the-city"),  # G2
        Attempt(_series(CITY, series), "accepted"),
        Attempt(_on(hired, MINE, "subject-assigned", {"to": MINE, "reason": "x"}), "refused", "only-the-city"),  # G3
        Attempt(_on(hired, CITY, "subject-assigned", {"to": OTHERS, "reason": "区划调整"}), "accepted"),
        Attempt(_by(MINE, hire_ended("whose"), "late"), "refused", "not-yours"),
        Attempt(_on(hired, OTHERS, "report-voided", voided), "refused", by_other),
        Attempt(_on(hired, CITY, "report-voided", voided), *by_city),  # G4
        Attempt(_by(OTHERS, hire_ended("whose"), "owners"), "accepted" if named else "waiting"),
    ]


def check(system: System, send: Callable[[dict[str, Any]], object], *, named: bool) -> None:
    """Send them one after another, and compare status, reason and `reportedby` of each receipt and of every fact."""
    for attempt in attempts(named=named):
        send(attempt.sent)
        service, id_ = attempt.sent["type"].split(".")[1], attempt.sent["id"]
        query = "select bytes from receipt where source = $1 and id = $2"
        eventually(lambda: system.query(service, query, attempt.sent["source"], id_))  # noqa: B023 - called at once
        receipt = orjson.loads(system.query(service, query, attempt.sent["source"], id_)[0]["bytes"])
        codes = [reason["code"] for reason in receipt["reasons"]]
        assert (receipt["status"], codes) == (attempt.status, [attempt.code] if attempt.code else []), receipt
        sender = attempt.sent["district"]
        assert receipt["reportedby"] == (f"district-{sender}" if named else sender)
    for service in SERVICES:
        facts = [orjson.loads(row["bytes"]) for row in system.query(service, "select bytes from fact")]
        senders = {fact["reportedby"].removeprefix("district-" if named else "") for fact in facts}
        assert senders <= {fact["reportsource"].split("/")[2] for fact in facts}
        assert len(facts) >= 1


def _by(district: str, made: dict[str, Any], id_: str | None = None) -> dict[str, Any]:
    return made | {"id": id_ or made["id"], "source": f"/districts/{district}/hr", "district": district}


def _on(of: dict[str, Any], district: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return _by(district, report(f"recruitment.{name}", f"{name}-{district}", of["subject"], data))


def _series(district: str, data: dict[str, str]) -> dict[str, Any]:
    made = report("competition.title-series-opened", f"series-{district}", f"title-series/{data['series']}", data)
    return _by(district, made)
