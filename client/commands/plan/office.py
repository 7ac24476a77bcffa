"""The session of a command of the plan office: its options, its connection to planning, and how it reports."""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Final, NamedTuple, NoReturn

import typer
from pydantic import JsonValue

from client.commands.plan import tables
from client.commands.plan.planning import Action, PlanningApi
from client.districts import DistrictNames
from client.messages import JsonObject
from client.output import ALL_WELL, AWAY, SOME_WRONG, USAGE, CommandError, Output, text
from client.publishing import outcome_of
from client.routing import district_of
from client.session import session
from client.terms import STATUS_NAMES, place_name
from services.catalogue import DOMAIN_SERVICES
from shared.contract.events import LOCAL_TIME
from shared.contract.messages import Receipt

DEFAULT_ADDRESS: Final = f"http://127.0.0.1:{DOMAIN_SERVICES['planning'].port}"
PLAN: Final = "shaoxing-2023-2025"
_NOBODY: Final = "计划办公室"  # who decides while no keys are set
_CITY: Final = "330600"
_OFFICE: Final = f"/districts/{_CITY}/plan-office"

Plan = Annotated[str, typer.Option("--plan", "-p", envvar="SKILLPLAN_PLAN", help="计划编号 the plan's id")]
By = Annotated[
    str | None,
    typer.Option("--by", envvar="SKILLPLAN_BY", help="经办人,默认为密钥的名称 who decides; whose key it is"),
]
Why = Annotated[str | None, typer.Option("--why", help="理由 why")]
From = Annotated[str | None, typer.Option("--from", help="生效日期 YYYY-MM-DD,默认今天 takes effect; today")]
Id = Annotated[str | None, typer.Option("--id", help="报告编号;重发时用同一个 the report's id; the same to send again")]
Source = Annotated[str | None, typer.Option("--source", help="来源 the source, /districts/<code>/<system>")]


class PlanOptions(NamedTuple):
    """The options of the group: the address of planning, and whether a program reads the output."""

    address: str
    json: bool


@contextlib.contextmanager
def connect(context: typer.Context, service: str = "planning") -> Iterator[PlanSession]:
    """Yield the session of a command with a service; raises typer.Exit with the exit code where it fails."""
    options = context.find_object(PlanOptions)
    if options is None:
        raise AssertionError("the callback of the group sets them")
    with session(options.json, resumable=False) as (output, settings):
        address = options.address if service == "planning" else settings.addresses.get(service)
        if address is None:
            raise CommandError("没有这个服务。", "There is no such service.", exit_code=USAGE)
        with PlanningApi(address, settings, service) as planning:
            yield PlanSession(output, planning, DistrictNames(settings.plans))


@dataclass(frozen=True, slots=True)
class PlanSession:
    """The output of a command, planning, and the districts by name."""

    output: Output
    planning: PlanningApi
    districts: DistrictNames

    def by(self, plan: str, given: str | None) -> str:
        """Return under which name is decided: the one given, else that of the key."""
        return given or self.planning.targets(plan, None).get("holder") or _NOBODY

    def report(
        self, name: str, subject: str, data: Mapping[str, JsonValue], id_: str | None, source: str | None
    ) -> None:
        """Report what was decided and print its receipt; raises typer.Exit."""
        raise typer.Exit(ALL_WELL if self.tell(name, subject, data, id_, source) else SOME_WRONG)

    def act(self, name: str, subject: str, data: dict[str, JsonValue], id_: str | None, source: str | None) -> None:
        """Report an act on a month, print its receipt and how the month stands then; raises typer.Exit."""
        self._end_with_month(self.tell(name, subject, data, id_, source), str(data["plan"]), str(data["month"]))

    def revise(self, name: str, subject: str, data: dict[str, JsonValue], id_: str | None, source: str | None) -> None:
        """Report what changes a target, print its receipt and the target from then on; raises typer.Exit."""
        is_taken = self.tell(name, subject, data, id_, source)
        if is_taken and not self.output.json:
            targets = self.planning.targets(str(data["plan"]), str(data["effective_from"]))
            tables.print_indicator(self.output, targets, str(data["indicator"]), self.districts)
        raise typer.Exit(ALL_WELL if is_taken else SOME_WRONG)

    def tell(self, name: str, subject: str, data: Mapping[str, JsonValue], id_: str | None, source: str | None) -> bool:
        """Report what was decided, print its receipt, and return whether it was taken."""
        own_source, own_id = source or _OFFICE, id_ or _new_id(name)
        event: JsonObject = {
            "specversion": "1.0",
            "id": own_id,
            "source": own_source,
            "type": f"skillplan.{self.planning.service}.{name}.v1",
            "subject": subject,
            "time": datetime.now(UTC).isoformat(),
            "district": district_of(own_source) or _CITY,
            "data": _given(data),
        }
        return self._taken(own_id, lambda: self.planning.report(event))

    def publish(self, plan: str, month: str, action: Action, data: Mapping[str, JsonValue]) -> None:
        """Close or restate a month, print the receipt and how the month stands then; raises typer.Exit."""
        own_id = str(data["id"] or _new_id(action))
        given = _given(data) | {"id": own_id}
        self._end_with_month(
            self._taken(own_id, lambda: self.planning.publish(plan, month, action, given)), plan, month
        )

    def _end_with_month(self, is_taken: bool, plan: str, month: str) -> NoReturn:
        if is_taken and not self.output.json:
            tables.print_month(self.output, self.planning.month(plan, month), self.districts)
        raise typer.Exit(ALL_WELL if is_taken else SOME_WRONG)

    def _taken(self, id_: str, ask: Callable[[], Receipt]) -> bool:
        try:
            receipt = ask()
        except CommandError as error:
            if error.exit_code != AWAY:
                raise
            raise CommandError(
                f"{error.zh}是否已办不得而知:加上 --id {id_} 再试,不会办两次。",
                f"{error.en} It may be done already: try again with --id {id_}, and it is done once.",
                error.code,
                AWAY,
            ) from None
        answer = outcome_of(receipt)  # of what was reported before: how that stands
        self.output.record(receipt)
        if not answer.is_rejected and not self.output.json:
            zh, en = STATUS_NAMES.get(receipt["status"], (receipt["status"],) * 2)
            waits = f" {text('等待', 'waits for', ' ')} {receipt['waits_for']}" if "waits_for" in receipt else ""
            self.output.line(f"✓ {text(zh, en, ' ')} {receipt['id']}{waits}")
        for reason in answer.reasons:
            zh, en = place_name(reason["pointer"]) if "pointer" in reason else ("", "")
            about_zh, about_en = f"「{zh}」" if zh else "", f'"{en}" ' if en else ""
            code = reason["code"]
            if not self.output.json:
                self.output.problem(f"{about_zh}{reason['zh']}[{code}]", f"{about_en}{reason['en']} [{code}]")
        return not answer.is_rejected


def _new_id(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}"


def _given(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in data.items() if value is not None}


def day(text: str | None) -> str:
    """Return a date as given, today in Asia/Shanghai where none is; raises CommandError."""
    if text is None:
        return datetime.now(LOCAL_TIME).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise CommandError("日期应为 YYYY-MM-DD。", "A date is YYYY-MM-DD.") from None


def number(value: float) -> int | float:
    """Return a number as JSON has it, whole ones as integers; raises ValueError where it is not finite."""
    if not math.isfinite(value):
        raise ValueError
    return int(value) if value.is_integer() else value


def optional_number(value: float | None) -> int | float | None:
    """Return the number of an option as JSON has it; raises CommandError where it is not finite."""
    try:
        return None if value is None else number(value)
    except ValueError:
        raise CommandError("数值应为有限的数。", "A number must be a finite one.") from None
