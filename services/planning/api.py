"""Answers over HTTP what the plan office has decided; closes a month with the projection's figures; decides nothing."""

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import httpx
import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from services.planning.events import LANGUAGE, PlanAdopted, TargetRevised, TargetSplit
from services.planning.months import DistrictMonth, PlanMonth, is_of, month_of, today_of
from services.planning.targets_in_force import (
    Change,
    History,
    InForce,
    decimal,
    differences,
    document_of,
    goal_of,
    last_day,
    periods_of,
)
from shared.contract.decoder import is_city
from shared.contract.events import Fact, format_instant
from shared.deciding.decider import View
from shared.deciding.unit_of_work import decode_fact
from shared.http import client as outgoing
from shared.http.access import Caller, caller_of
from shared.http.api_keys import Role
from shared.http.openapi import problem_response
from shared.http.problems import Problem
from shared.observability.unavailable import UNAVAILABLE
from shared.plan.loading import PlanError, load_plans, read_plan
from shared.plan.model import Indicator, Plan, Target
from shared.process.process import Settings
from shared.service.http_reports import AWAY, ReportIntake, Routes

Body = dict[str, Any]
_LARGEST: Final = 1024 * 1024
_PAGE: Final = 1000
_OFFICE: Final = "plan-office"
_PATIENCE: Final = 90.0  # the projection itself waits until all is counted
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
_NO_PLAN: Final = Problem(404, "没有这个计划。", "There is no such plan.")
_TEXT: Final[Body] = {"type": "string"}
_WRONG: Final[Body] = {"description": "参数不正确 A parameter is wrong"}
_NOT_NOW: Final[dict[int | str, Body]] = {
    404: problem_response(_NO_PLAN, "没有这个计划 There is no such plan"),
    503: problem_response(AWAY, "暂时不能作出决定 The service cannot decide now; try again after Retry-After"),
}
_PUBLISHED: Final[dict[int | str, Body]] = _NOT_NOW | {
    200: {"description": "受理,或以前已受理 Accepted, now or before: the receipt"},
    422: {"description": "拒绝:回执写明原因 Refused: the receipt says why"},
}
_ASKED: Final[Body] = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": dict.fromkeys(("source", "id", "known_at", "by", "request_no"), _TEXT),
                }
            }
        }
    }
}
PlanNamed = Annotated[str, Path(description="计划编号 the plan's id")]
MonthNamed = Annotated[str, Path(description="月份 a month, YYYY-MM")]
On = Annotated[date | None, Query(description="哪一天有效 in force on this day; today when left out")]


@dataclass(slots=True)
class _Decided:
    """All facts of the log so far; only what is new is read."""

    desk: ReportIntake
    facts: list[Fact] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def view(self) -> View:
        """Return what stands now."""
        async with self._lock:
            while True:
                try:
                    page = await self.desk.handler.store.log(len(self.facts), _PAGE)
                except UNAVAILABLE:
                    raise AWAY from None
                self.facts += [decode_fact({LANGUAGE.service: LANGUAGE}, orjson.loads(raw), ()) for raw in page]
                if len(page) < _PAGE:
                    return View(self.facts)


def routes(settings: Settings, projection: str) -> Routes:
    """Return what planning's HTTP process answers besides taking reports; `projection`: who has the figures."""

    def at(desk: ReportIntake) -> APIRouter:
        return _Planning(desk, settings, projection).router()

    return at


class _Planning:
    def __init__(self, desk: ReportIntake, settings: Settings, projection: str) -> None:
        self._desk, self._settings, self._projection = desk, settings, projection
        self._plans = {plan.id: plan for plan in load_plans(settings.plans)}
        self._decided = _Decided(desk)

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/plans", tags=["planning"])

        @router.get(
            "",
            summary="各计划及其采用情况 The plans, and what of them is adopted",
            description="`differs`:文件与已采用的不同。\n\n`differs`: the file is not what was adopted.",
            responses={503: _NOT_NOW[503]},
        )
        async def get_plans() -> Response:
            view = await self._decided.view()
            return _json({"plans": [_adoption(plan, History(plan, view)) for plan in self._plans.values()]})

        @router.get(
            "/{plan}",
            summary="现行目标及其沿革 The targets in force, and how they came to be",
            description=(
                "某日有效的全市与区县目标、分解差额,以及每次调整的缘由。\n\n"
                "The targets of the city and its districts in force on a day, what a split leaves over, and why each"
                " was changed."
            ),
            responses=_NOT_NOW | {422: _WRONG},
        )
        async def get_plan(plan: PlanNamed, request: Request, on: On = None) -> Response:
            found = self._plan(plan)
            view = await self._decided.view()
            shown = _plan(found, History(found, view), on or today_of(datetime.now(UTC)))
            return _json(shown | {"may": _may(found, view, caller_of(request))})

        @router.post(
            "/{plan}/diff",
            summary="采用此文件会改变什么 What adopting this file would change",
            description=(
                "与已采用的逐项比较,什么也不改变;文件有误时逐条指明行和位置。\n\n"
                "Compares it with what was adopted and changes nothing; a file's faults are named by line and path."
            ),
            responses=_NOT_NOW | {422: {"description": "计划文件有误 The plan file has faults"}},
            openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": _TEXT}}}},
        )
        async def post_diff(plan: PlanNamed, request: Request) -> Response:
            found = self._plan(plan)
            text = await _text(request)
            try:
                given = read_plan(text, "plan")
            except PlanError as error:
                return _faults(error)
            if given.id != found.id:
                raise Problem(422, "文件是另一个计划的。", "The file is of another plan.")
            history = History(found, await self._decided.view())
            changes = [asdict(one) for one in differences(history.adopted, given)]
            against = history.adopted.digest if history.adopted else None
            return _json(
                {"plan": found.id, "sha256": given.digest, "against": against, "changes": changes,
                 "document": document_of(given)}
            )  # fmt: skip

        @router.get(
            "/{plan}/months/{month}",
            summary="月份状态及可办事项 How a month stands, what you may do",
            description=(
                "各区县的报审情况、公布与重述的记录;`may` 为持此密钥者现在可办的事。\n\n"
                "How each district's figures stand, what was published and restated; `may`: what the bearer of this key"
                " can do now."
            ),
            responses=_NOT_NOW | {422: _WRONG},
        )
        async def get_month(plan: PlanNamed, month: MonthNamed, request: Request) -> Response:
            return _json(_month(await self._month(plan, month), self._plan(plan), caller_of(request)))

        @router.post(
            "/{plan}/months/{month}/close",
            summary="关账:取数并公布 Close: take the figures and publish them",
            description=(
                "答复是回执;带同样的 `source` 与 `id` 再发,答以同一回执。\n\n"
                "The answer is a receipt; sent again with the same `source` and `id` it is the same receipt."
            ),
            responses=_PUBLISHED,
            openapi_extra=_ASKED,
        )
        async def post_close(plan: PlanNamed, month: MonthNamed, request: Request) -> Response:
            return await self._publish(plan, month, request, "period-closed")

        @router.post(
            "/{plan}/months/{month}/restate",
            summary="核准重述 Approve a restatement: the figures anew",
            description=(
                "`request_no`:所核准的申请;其余同关账。\n\n`request_no`: the request that is approved; else as close."
            ),
            responses=_PUBLISHED,
            openapi_extra=_ASKED,
        )
        async def post_restate(plan: PlanNamed, month: MonthNamed, request: Request) -> Response:
            return await self._publish(plan, month, request, "period-restated")

        return router

    def _plan(self, plan: str) -> Plan:
        if plan not in self._plans:
            raise _NO_PLAN
        return self._plans[plan]

    async def _month(self, plan: str, month: str) -> PlanMonth:
        found = self._plan(plan)
        if not _MONTH.fullmatch(month) or not is_of(found, month):
            raise Problem(422, "月份应为计划期内的 YYYY-MM。", "The month must be YYYY-MM within the plan.")
        return month_of(found, month, await self._decided.view())

    async def _publish(self, plan: str, month: str, request: Request, type_name: str) -> Response:
        """Fetch the figures of a month and report them as the plan office; the receipt is the answer."""
        found, asked = self._plan(plan), _object(await _text(request))
        await self._month(plan, month)
        city = next((one.code for one in found.districts if one.city), found.districts[0].code)
        source = asked.pop("source", None) or f"/districts/{city}/{_OFFICE}"
        id_ = asked.pop("id", None) or f"{type_name}-{month}-{secrets.token_hex(6)}"
        if not isinstance(source, str) or not isinstance(id_, str) or not _ID.fullmatch(id_):
            raise Problem(422, "source、id 应为不含空白的文本。", "source and id must be texts without spaces.")
        caller_of(request).must_cover(source)
        type_, subject = f"skillplan.planning.{type_name}.v1", f"month/{plan}/{month}"
        try:
            known = await self._desk.handler.store.receipt(source, id_)
        except UNAVAILABLE:
            raise AWAY from None
        if known is not None:
            problem_response = orjson.loads(known)
            if (problem_response["status"], problem_response.get("type"), problem_response.get("subject")) == (
                "accepted",
                type_,
                subject,
            ):
                return Response(known, media_type="application/json")  # sent again after an answer was lost
        figures = await self._figures(plan, month, asked.pop("known_at", None))
        data = {"plan": plan, "month": month, **asked}
        data |= {key: figures[key] for key in ("known_at", "figures", "sha256")}
        envelope = {
            "specversion": "1.0",
            "id": id_,
            "source": source,
            "type": type_,
            "subject": subject,
            "time": format_instant(datetime.now(UTC)),
            "district": city,
            "data": data,
        }
        began = self._desk.handler.tracing.now()
        return await self._desk.report(envelope, caller_of(request), datetime.now(UTC), began)

    async def _figures(self, plan: str, month: str, known_at: object) -> Body:
        if not self._projection:
            raise Problem(503, "未设置 SKILLPLAN_PROJECTION,无法取数。", "SKILLPLAN_PROJECTION is not set: no figures.")
        asked = {"month": month} | ({"known_at": str(known_at)} if known_at is not None else {})
        async with outgoing.client(self._settings, _PATIENCE) as client:
            try:
                answer = await client.get(f"{self._projection}/v1/plans/{plan}/figures", params=asked)
                body = answer.json()
            except (httpx.HTTPError, ValueError):
                raise Problem(
                    503, "暂时取不到数据(projection 没有应答)。", "No figures now: the projection does not answer.",
                    retry_after="5",
                ) from None  # fmt: skip
        if answer.is_success:
            found: Body = body
            return found
        status = answer.status_code if answer.status_code in (404, 422) else 503
        raise Problem(status, body.get("zh", "暂时取不到数据。"), body.get("en", "No figures now."))


async def _text(request: Request) -> str:
    raw = await request.body()
    if len(raw) > _LARGEST:
        raise Problem(413, f"请求体超过 {_LARGEST} 字节。", f"The body is larger than {_LARGEST} bytes.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, "请求体不是 UTF-8。", "The body is no UTF-8.") from None


def _object(text: str) -> Body:
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Problem(400, "请求体应为一个 JSON 对象。", "The body must be one JSON object.")
    return found


def _faults(error: PlanError) -> Response:
    faults = [{"line": one.line, "path": one.path, "zh": one.zh, "en": one.en} for one in error.faults]
    zh, en = f"计划文件有 {len(faults)} 处错误。", f"The plan file has {len(faults)} faults."
    body = {"type": "about:blank", "status": 422, "title": en, "detail": en, "zh": zh, "en": en, "faults": faults}
    return Response(orjson.dumps(body), 422, media_type="application/problem+json")


def _adoption(plan: Plan, history: History) -> Body:
    last = history.adoptions[-1] if history.adoptions else None
    adopted = history.adopted
    return {
        "plan": plan.id,
        "title": plan.title.model_dump(),
        "file": {"sha256": plan.digest, "differs": adopted is not None and adopted.digest != plan.digest},
        "adopted": None if last is None or adopted is None else {"sha256": adopted.digest} | _said(last),
    }


def _plan(plan: Plan, history: History, on: date) -> Body:
    shown = _adoption(plan, history) | {"on": on.isoformat()}
    return shown | {
        "indicators": [
            {
                "id": indicator.id,
                "measure": measure.id,
                "name": indicator.name.model_dump(),
                "unit": indicator.unit,
                "basis": indicator.basis,
                "periods": [_period(history, plan, indicator, period, on) for period in periods_of(plan, indicator)],
                "history": [
                    {"district": district} | _change(change)
                    for district in (None, *sorted(plan.district_codes))
                    for change in history.changes(indicator.id, district)
                    if change.fact is not None
                ],
            }
            for measure, indicator in history.plan.indicators.values()
        ]
    }


def _period(history: History, plan: Plan, indicator: Indicator, period: str, on: date) -> Body:
    day = min(on, last_day(plan, period))
    whole = history.target(indicator.id, None, period, day)
    parts = {
        code: found
        for code in sorted(plan.district_codes)
        if (found := history.target(indicator.id, code, period, day)) is not None
    }
    together = sum((goal_of(indicator, one.target) for one in parts.values()), Decimal(0))
    adds = whole is not None and parts and not indicator.is_ratio
    by_month = sum(whole.months.values(), Decimal(0)) if whole is not None and whole.months is not None else None
    return {
        "period": period,
        "target": None if whole is None else _in_force(whole),
        "districts": {code: _in_force(one) for code, one in parts.items()},
        "sum_of_districts": _number(together) if adds else None,
        "difference": _number(goal_of(indicator, whole.target) - together) if adds and whole else None,
        "sum_of_months": _number(by_month),
        "difference_of_months": (
            None if whole is None or by_month is None else _number(goal_of(indicator, whole.target) - by_month)
        ),
        "split_by": [_said(fact) for fact in history.splits(indicator.id, period, day)],
    }


def _in_force(found: InForce) -> Body:
    return _target(found.target) | {
        "clause": found.clause,
        "weights": [_number(weight) for weight in found.weights],
        "months": None if found.months is None else {month: _number(part) for month, part in found.months.items()},
        "set_by": None if found.revised_by is None else _said(found.revised_by),
    }


def _target(target: Target | None) -> Body:
    names = ("value", "upper", "baseline")
    return {"op": target.op if target else None} | {name: _number(getattr(target, name, None)) for name in names}


def _change(change: Change) -> Body:
    assert change.fact is not None  # noqa: S101 - asked only for what a fact changed
    return {"period": change.period, "target": _target(change.target)} | _said(change.fact)


def _said(fact: Fact) -> Body:
    """Return who said it, when, from when on, and why."""
    event = fact.event
    problem_response = {
        "type": event.type_name,
        "position": fact.position,
        "source": fact.report_source,
        "id": fact.report_id,
        "recorded_at": format_instant(fact.recorded_at),
        "by": getattr(event, "by", None),
        "why": getattr(event, "why", None),
    }
    if isinstance(event, PlanAdopted | TargetRevised | TargetSplit):
        problem_response["effective_from"] = event.effective_from.isoformat()
    if isinstance(event, TargetSplit):
        problem_response["over"] = event.over
        problem_response["difference"] = None if event.difference is None else _number(decimal(event.difference))
    return problem_response


def _number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _month(month: PlanMonth, plan: Plan, caller: Caller) -> Body:
    own, office = _own(caller, plan), _is_office(caller, plan)
    may = month.may(office, own, today_of(datetime.now(UTC)))
    may += ["withdraw"] if _may_withdraw(caller, office, month.withdrawable) else []
    return {
        "plan": month.plan,
        "month": month.name,
        "from": month.first.isoformat(),
        "to": month.last.isoformat(),
        "state": "closed" if month.closed else "open",
        "missing": [] if month.closed else month.missing,
        "districts": [_district(plan, code, one) for code, one in month.districts.items()],
        "overrides": _said_once(month.overridden.values()),
        "published": [
            {"known_at": format_instant(one.known_at), "sha256": one.sha256, "figures": len(one.figures),
             "request_no": one.request} | _said(one.fact)
            for one in month.published
        ],
        "requests": [{"request_no": number} | _said(fact) for number, fact in month.requests.items()],
        "may": may,
    }  # fmt: skip


def _own(caller: Caller, plan: Plan) -> list[str]:
    """Return the districts that a caller speaks for, be it for one system of theirs only."""
    if caller.key is None:
        return sorted(plan.district_codes)
    return sorted({prefix.split("/")[2] for prefix in caller.key.prefixes} & plan.district_codes)


def _is_office(caller: Caller, plan: Plan) -> bool:
    """Tell whether a caller speaks for the plan office (contract F1)."""
    role = caller.key.role if caller.key else Role.PLANNER
    return role is Role.PLANNER and any(_is_city(plan, code) for code in _own(caller, plan))


def _may(plan: Plan, view: View, caller: Caller) -> list[str]:
    """Return what a caller may do to the targets of a plan."""
    if not _is_office(caller, plan):
        return []
    own = [
        standing.fact
        for standings in (view.of(PlanAdopted), view.of(TargetRevised), view.of(TargetSplit))
        for event, standing in standings
        if getattr(event, "plan", None) == plan.id
    ]
    return ["adopt", "revise", "split", *(["withdraw"] if _may_withdraw(caller, True, own) else [])]


def _may_withdraw(caller: Caller, office: bool, facts: Iterable[Fact]) -> bool:
    """Tell whether one of these facts is the caller's own to take back."""
    return any(
        caller.door().admits(fact.report_source, fact.district)
        and (office or not (is_city(fact.district) and LANGUAGE.is_of_office(fact.stream)))
        for fact in facts
    )


def _district(plan: Plan, code: str, one: DistrictMonth) -> Body:
    last = one.facts[-1] if one.facts else None
    shown: Body = {"district": code, "state": one.status, "needed": not _is_city(plan, code)}
    if last is not None:
        event = last.event
        shown |= _said(last) | {"items": getattr(event, "items", None), "message": getattr(event, "message", None)}
    return shown


def _is_city(plan: Plan, code: str) -> bool:
    return any(one.city for one in plan.districts if one.code == code)


def _said_once(facts: Iterable[Fact]) -> list[Body]:
    found: Mapping[int, Fact] = {fact.position: fact for fact in facts}
    return [_said(fact) | {"districts": getattr(fact.event, "districts", [])} for fact in found.values()]


def _json(body: Body) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
