"""The plan office and a district at their desks, in front of real processes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from deploy.local.installation import ROOT
from shared.plan.loading import load_plan
from tests.harness.fork_server import Ended, fork_server
from tests.harness.processes import System, eventually
from tests.harness.reports import organisation, person
from tests.harness.reports import report as envelope

FILE: Final = ROOT / "plans" / "shaoxing-2023-2025.yaml"
PLAN: Final = load_plan(FILE)
OFFICE: Final = "330600"
SIX: Final = sorted(district.code for district in PLAN.districts if not district.city)
MONTH: Final = "2024-03"
STRUCTURED: Final = {"content-type": "application/cloudevents+json"}


class PlanOffice:
    """The plan office and a district, at their desks."""

    def __init__(self, system: System, **settings: str) -> None:
        self.system = system
        for service in ("recruitment", "planning"):
            for command in ("api", "worker"):
                system.process(service, command, **settings).start(wait=False)
        system.process("projection", "projector", **settings).start(wait=False)
        addresses = {name: system.the(name, "api").url for name in ("recruitment", "planning")}
        reading = system.process("projection", "api", SKILLPLAN_SERVICES=json.dumps(addresses), **settings)
        reading.start(wait=False)
        for process in system.processes:
            process.wait_ready(120)
        planning = system.the("planning", "api")
        planning.kill(15)
        planning.settings["SKILLPLAN_PROJECTION"] = reading.url
        self.planning, self.projection = planning.start().http, reading.http
        self.recruitment = system.the("recruitment", "api").http
        self.sent: list[dict[str, Any]] = []

    def run(self, *arguments: str, key: str = "") -> Ended:
        """Run the plan office's command line, with a key where one is given."""
        environment = {
            "SKILLPLAN_PLANNING": str(self.planning.base_url),
            "SKILLPLAN_PROJECTION": str(self.projection.base_url),
            "SKILLPLAN_SERVICES": json.dumps({"recruitment": str(self.recruitment.base_url)}),
        }
        if key:
            environment["SKILLPLAN_KEY"] = key
        return fork_server().run("client", ["plan", *arguments], environment, 200)

    def tell(self, name: str, subject: str, *, district: str = OFFICE, **data: Any) -> dict[str, Any]:
        sent = envelope(f"planning.{name}", f"p-{len(self.sent) + 1}", subject, data, district=district)
        sent["time"] = datetime.now(UTC).isoformat()
        self.sent.append(sent)
        answer = self.planning.post("/v1/events", json=sent, headers=STRUCTURED)
        result: dict[str, Any] = answer.json()
        return result

    def hire(self, n: int, on: str) -> None:
        data = {"person": person(n), "enterprise": organisation(n), "channel": "gold-blue-collar",
                "occupation_code": "6-18-01-01", "hired_on": on}  # fmt: skip
        sent = envelope("recruitment.person-hired", f"h-{n}", f"hire/C-{n}", data)
        sent["time"] = f"{on}T10:00:00+08:00"
        answer = self.recruitment.post("/v1/events", json=sent, headers=STRUCTURED).json()
        assert answer["status"] == "accepted", answer

    def submit(self, district: str) -> dict[str, Any]:
        return self.tell(
            "period-submitted", f"month/{PLAN.id}/{MONTH}/{district}", district=district, plan=PLAN.id, month=MONTH,
            by="统计科",
        )  # fmt: skip

    def answer(self, name: str, district: str, **data: Any) -> dict[str, Any]:
        return self.tell(
            name, f"month/{PLAN.id}/{MONTH}/{district}", plan=PLAN.id, month=MONTH, submitted_by=district, by="计划科",
            **data,
        )  # fmt: skip

    def month(self) -> dict[str, Any]:
        month: dict[str, Any] = self.planning.get(f"/v1/plans/{PLAN.id}/months/{MONTH}").json()
        return month

    def cell(self, indicator: str, period: str = "2024", **parameters: str) -> dict[str, Any]:
        progress = self.projection.get(f"/v1/plans/{PLAN.id}/progress", params=parameters).json()
        indicator_values = next(item for item in progress["indicators"] if item["id"] == indicator)
        cell: dict[str, Any] = next(item for item in indicator_values["periods"] if item["period"] == period)
        return cell

    def head(self) -> int:
        position: int = self.planning.get("/v1/log/head").json()["position"]
        return position

    def counted(self) -> None:
        def reached() -> bool:
            checkpoints = self.projection.get(f"/v1/plans/{PLAN.id}/progress").json()["complete_to"]
            heads = {"planning": self.head(), "recruitment": self.recruitment.get("/v1/log/head").json()["position"]}
            return all(checkpoints[service]["position"] >= position for service, position in heads.items())

        eventually(reached, 60)
