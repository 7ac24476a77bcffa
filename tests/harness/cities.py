"""Further cities for tests, all of them invented: Shaoxing's plan and demo with other districts, under other names."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from client.demo.feed import feed
from client.kafka import Publisher
from deploy.local import status
from deploy.local.installation import Installation
from services.catalogue import COUNTED, DOMAIN_SERVICES
from shared.plan.loading import load_plan
from tests.conftest import ROOT
from tests.harness.oracle import recount, standing_at
from tests.harness.processes import eventually

_PLAN: Final = ROOT / "plans" / "shaoxing-2023-2025.yaml"
# Where a code of six digits stands alone: numbers of persons and organisations keep their check characters.
_DISTRICT: Final = re.compile(r"(?<![0-9])3306(?=(?:00|02|03|04|24|81|83)(?![0-9]))")


class InventedCity(NamedTuple):
    """A city as Shaoxing is, but for its name and the codes of its districts."""

    name: str
    area: str  # the first four digits of its districts' codes

    @property
    def plan_id(self) -> str:
        """The id of its plan."""
        return f"{self.name}-2023-2025"

    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return what a report of a district of Shaoxing is here."""
        invented: dict[str, Any] = json.loads(self._invented(json.dumps(report, ensure_ascii=False)))
        return invented

    def write_plan(self, folder: Path) -> Path:
        """Write its plan into a folder, and return the file."""
        file = folder / f"{self.plan_id}.yaml"
        file.write_text(self._invented(_PLAN.read_text(encoding="utf-8")), encoding="utf-8")
        return file

    def feed(self, reports: int, seed: int) -> Iterator[dict[str, Any]]:
        """Yield reports of its districts, as envelopes."""
        for planned in feed(reports, seed, corrections=False):
            yield self.report(planned.envelope)

    def _invented(self, text: str) -> str:
        return _DISTRICT.sub(self.area, text).replace("shaoxing", self.name)


FIRST: Final = InventedCity("shaoxing", "3306")  # as it is
FURTHER: Final = (InventedCity("ningbo", "3302"), InventedCity("jinhua", "3307"))


@dataclass(frozen=True)
class RunningCity:
    """A city of an installation that runs, as its clients reach it."""

    invented: InventedCity
    installed: Installation

    @cached_property
    def http(self) -> httpx.Client:
        """A client with the key that its own services show each other."""
        return httpx.Client(timeout=30, trust_env=False, headers=self.installed.credentials)

    def publish(self, reports: Iterable[dict[str, Any]]) -> None:
        """Send reports as its districts do, and wait until the broker has them."""

        async def send() -> None:
            async with Publisher(self.installed.broker) as publisher:
                for report in reports:
                    await publisher.publish(report)
                await publisher.flush()

        asyncio.run(send())

    def report(self, report: dict[str, Any]) -> None:
        """Report by HTTP, and wait for the receipt."""
        service = report["type"].split(".")[1]
        headers = {"content-type": "application/cloudevents+json"}
        answer = self.http.post(f"{self.installed.url(service)}/v1/events", json=report, headers=headers)
        assert answer.json()["status"] == "accepted", answer.text

    def progress(self, **parameters: str) -> dict[str, Any]:
        """Return the progress of its plan."""
        url = f"{self.installed.url('projection')}/v1/plans/{self.invented.plan_id}/progress"
        answer = self.http.get(url, params=parameters)
        assert answer.status_code == 200, answer.text
        progress: dict[str, Any] = answer.json()
        return progress

    def log(self, service: str) -> list[dict[str, Any]]:
        """Return all facts of a service."""
        facts: list[dict[str, Any]] = []
        while True:
            after = facts[-1]["position"] if facts else 0
            url = f"{self.installed.url(service)}/v1/log"
            page = self.http.get(url, params={"after": after, "limit": 5000}).json()["facts"]
            if not page:
                return facts
            facts += page

    def answered(self) -> int:
        """Return how many answers it has given."""
        return sum(self._head(service)["receipts"] for service in DOMAIN_SERVICES)

    def await_answers(self, count: int) -> None:
        """Wait until it has given so many answers, and all that is recorded is counted."""

        def all_of_it() -> bool:
            if self.answered() < count:
                return False
            counted = self.progress()["complete_to"]
            heads = {service: self._head(service)["position"] for service in COUNTED}
            return all(counted[name]["position"] >= at for name, at in heads.items())

        eventually(all_of_it, 300.0, 0.5)

    def _head(self, service: str) -> dict[str, int]:
        (row,) = status.rows_of(self.installed.role_dsn(service), "select position, receipts from log_head")
        return dict(row)

    def wrong_numbers(self) -> tuple[int, list[str]]:
        """Compare every number with a plain recount of its logs; return how many were, and those that differ."""
        plan = load_plan(next(self.installed.plans.glob("*.yaml")))
        instant = datetime.now(UTC)
        standing = standing_at([fact for service in COUNTED for fact in self.log(service)], instant)
        wrong, compared = list[str](), 0
        for district in (None, *plan.district_codes):
            parameters = {"as_of": "2025-12-31"} | ({"district": district} if district else {})
            for row in self.progress(**parameters)["indicators"]:
                for period in row["periods"]:
                    expected = recount(
                        plan, plan.indicators[row["id"]][1], standing,
                        district=district, period=period["period"], as_of=date(2025, 12, 31), known_at=instant,
                    )  # fmt: skip
                    compared += 1
                    if (period["numerator"], period["denominator"]) != expected:
                        wrong.append(f"{row['id']} {period['period']} {district}")
        return compared, wrong
