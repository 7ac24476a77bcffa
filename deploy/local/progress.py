"""Output at the end of `make up`: the addresses, and a table of each plan's progress from the read API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import httpx
from rich.table import Table

from client.demo.feed import CITY_SIZE
from deploy.local import databases
from deploy.local.installation import Installation
from services.projection.assessment.representation import LogProgress, TargetValue
from services.projection.exports.wording import DASH, achieved_text, target_text

if TYPE_CHECKING:
    from services.projection.queries.target_progress import PlanProgress

_ALL = "全部 all"
_UNITS = {"fen": "元 yuan", "%": "%"}
_BAR = 20


class DemoPlace(NamedTuple):
    """How far the demo of the whole city has come: reports sent, of about how many, and whether it is done."""

    sent: int = 0
    of: int = CITY_SIZE
    done: bool = False

    @property
    def bar(self) -> str:
        """A bar as text, with the numbers."""
        part = min(_BAR, self.sent * _BAR // self.of)
        return f"{'█' * part}{'░' * (_BAR - part)} {self.sent:,} / {self.of:,}"


def demo_place(installation: Installation) -> DemoPlace:
    """Read how far the demo of the whole city has come."""
    try:
        stored = json.loads(installation.demo_place.read_text(encoding="utf-8"))
        return DemoPlace(int(stored["sent"]), int(stored["of"]), bool(stored["done"]))
    except (OSError, ValueError, KeyError):
        return DemoPlace()


def complete_to(client: httpx.Client, projection: str) -> Mapping[str, LogProgress]:
    """Ask up to what position of each log the answers are complete."""
    checkpoints: Mapping[str, LogProgress] = {}
    for progress in _progress(client, projection):
        checkpoints = progress["complete_to"]  # the same of each plan
    return checkpoints


def addresses(installation: Installation, services: list[str]) -> Table:
    """List what answers where."""
    table = Table(title="地址  Addresses", title_justify="left")
    table.add_column("部分 Part")
    table.add_column("地址 Address", no_wrap=True)
    for service in services:
        table.add_row(service, installation.url(service))
    table.add_row("kafka", installation.bootstrap)
    table.add_row("postgres", databases.without_password(installation.superuser))
    return table


def tables(client: httpx.Client, projection: str) -> Iterator[Table]:
    """Ask for each plan's progress today and lay it out."""
    yield from map(_table, _progress(client, projection))


def _progress(client: httpx.Client, projection: str) -> Iterator[PlanProgress]:
    """Ask for the progress of each plan that is counted."""
    plans = client.get(f"{projection}/v1/plans")
    plans.raise_for_status()
    for plan in plans.json()["plans"]:
        answer = client.get(f"{projection}/v1/plans/{plan['id']}/progress")
        answer.raise_for_status()
        yield answer.json()


def _table(progress: PlanProgress) -> Table:
    table = Table(title=f"目标进度  Progress  {progress['plan']}  {progress['as_of']}", title_justify="left")
    for heading in ("指标 Indicator", "名称 Name", "期间 Period"):
        table.add_column(heading)
    for heading in ("数值 Value", "目标 Target"):
        table.add_column(heading, justify="right")
    table.add_column("达成 Met")
    for indicator in progress["indicators"]:
        unit = indicator["unit"]
        name = f"{indicator['name']['zh']}\n{indicator['name']['en']}"
        for at, period in enumerate(indicator["periods"]):
            table.add_row(
                indicator["id"] if at == 0 else "",
                name if at == 0 else "",
                str(period["period"]),
                _with_unit(achieved_text(period["value"], unit, period["met"], period["target"]), unit),
                _target(period["target"], unit),
                {True: "✓", False: "–", None: ""}[period["met"]],
            )
    return table


def _target(target: TargetValue | None, unit: str) -> str:
    if target is None:
        return "监测 monitored"
    return _ALL if target["op"] == "all" else _with_unit(target_text(target, unit), unit)


def _with_unit(text: str, unit: str) -> str:
    symbol = _UNITS.get(unit)
    return f"{text} {symbol}" if symbol and text != DASH else text
