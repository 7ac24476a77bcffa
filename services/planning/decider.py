"""Planning's own rules: what may be adopted, revised, split, submitted, approved, closed, restated, noted. Pure."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import assert_never, cast

from services.planning.events import (
    CloseOverridden,
    ErasureEvent,
    ErasureRequested,
    MonthEvent,
    NoteWritten,
    PeriodApproved,
    PeriodClosed,
    PeriodRestated,
    PeriodReturned,
    PeriodSubmitted,
    PersonErased,
    PlanAdopted,
    PlanEvent,
    RestatementRequested,
    TargetEvent,
    TargetRevised,
    TargetSplit,
    digest_of,
    seal_of,
)
from services.planning.months import PlanMonth, asked_by, days_of, is_of, month_of, today_of
from services.planning.notes import NotedCell, may_write, notes_of
from services.planning.targets_in_force import (
    History,
    TargetInForce,
    decimal,
    goal_of,
    last_day,
    months_of,
    periods_of,
    plan_of,
    target_of,
)
from services.planning.witnessed import all_witnessed, heads_of, lacking, sentence
from shared.contract.events import Event, Fact, Report, parse_instant
from shared.contract.rules import NotYours, Rule
from shared.deciding.decider import Accept, Decision, Domain, Refuse
from shared.deciding.view import View
from shared.plan.loading import PlanError
from shared.plan.model import Indicator, Milestones, Plan, Target, successors


class UnknownPlan(Rule):
    zh, en = (
        "没有这个计划;先把计划文件放入计划文件夹。",
        "There is no such plan; put its file into the folder of plans first.",
    )


class UnknownIndicator(Rule):
    zh, en = "该计划没有这个指标。", "This plan has no such indicator."


class UnknownDistrict(Rule):
    zh, en = "不是该计划的区划代码。", "This is not one of the plan's districts."


class UnknownPeriod(Rule):
    zh, en = "不在该计划(或该指标)的期间之内。", "This lies outside the periods of the plan or of this indicator."


class PlanNotValid(Rule):
    zh = "计划文件有 {count} 处错误;用 skillplan plan diff 查看各处的行号。"
    en = "The plan file has {count} faults; skillplan plan diff shows the line of each."


class WrongDigest(Rule):
    zh = "内容与摘要(SHA-256)不符;请重新取得内容,不要手工改动。"
    en = "The SHA-256 is not that of the content; fetch it again rather than change it by hand."


class AdoptedSince(Rule):
    zh = "比较之后又采用过别的文件;请重新比较(diff)再采用。"
    en = "Another file was adopted since this was compared; compare (diff) and adopt again."


class NeverInForce(Rule):
    zh = "生效日期晚于期末({last}),永远不会生效;请写明期内的日期(effective_from,--from)。"
    en = "This would take effect after the last day ({last}), so never; name an earlier one (effective_from, --from)."


class NothingChanged(Rule):
    zh, en = "与现行内容相同,没有改变。", "This is what is in force already; nothing would change."


class BadTarget(Rule):
    zh = "比较方式与数值不配:range 须有不小于 value 的 upper,all 只用于里程碑且没有 value,其余只有 value。"
    en = (
        "Comparator and numbers do not fit: range needs an upper that is not below value, all is for milestones and "
        "has no value, the others have value alone."
    )


class CannotBeSplit(Rule):
    zh = "比率、“全部”和无目标的指标不能按份相加;水平指标没有月份。各区、县(市)的目标请逐个调整(revise --district)。"
    en = (
        "A ratio, an all, and what has no target have no parts that add up, and a level has no months. Set the target "
        "of each district by a revision of its own (revise --district)."
    )


class PartsDoNotAddUp(Rule):
    zh = "各部分合计 {sum},目标为 {whole},相差 {gap};请改正,或写明这一差额(difference)。"
    en = "The parts come to {sum}, the target is {whole}: a gap of {gap}. Correct them, or state the gap in difference."


class ReasonNeeded(Rule):
    zh = "生效日期早于已关账月份({month})的月末,须写明理由(why)。"
    en = "This takes effect within a closed month ({month}): say why."


class MonthNotOver(Rule):
    zh, en = "这个月还没有结束。", "The month is not over yet."


class MonthClosed(Rule):
    zh = "这个月已经关账;之后的变动请申请重述(restatement)。"
    en = "The month is closed; ask for a restatement for what came after."


class NotClosed(Rule):
    zh, en = "这个月还没有关账。", "The month is not closed."


class AlreadySubmitted(Rule):
    zh, en = "本区、县(市)这个月已经提交。", "The district has submitted this month already."


class NotSubmitted(Rule):
    zh, en = "该区、县(市)这个月没有待处理的提交。", "The district has no submission of this month to decide on."


class NotApproved(Rule):
    zh = "下列区、县(市)尚未核准:{districts}。请先核准,或由负责人作出破例决定(override)并写明理由。"
    en = "Not approved: {districts}. Approve them first, or let somebody answer for it by an override with a reason."


class NothingToOverride(Rule):
    zh, en = "所列区、县(市)均已核准,无需破例。", "Each of these districts is approved; there is nothing to override."


class BadKnownAt(Rule):
    zh = "所知截至时刻(known_at)须在月末之后,不早于上次公布所依时刻,也不在未来。"
    en = "known_at must lie after the month's end, not before that of the last publication, and not ahead."


class NotOurFigures(Rule):
    zh = "这些数据不是投影算出的(缺少封印或封印不符);请用 close、restate 取数公布,不要手工编写或改动。"
    en = (
        "The projection has not counted these figures: their seal is missing or another's. Take them by close or "
        "restate rather than write or change them by hand."
    )


class NotWitnessed(Rule):
    zh = "计划要求见证副署后关账。{zh}请用 close 关账,它会等待并附上副署。"
    en = "The plan asks for witnesses. {en} Close by close, which waits for the cosignatures and adds them."


class NotRequested(Rule):
    zh, en = (
        "没有这个编号的申请,或它已经办结。",
        "Nothing was asked for under this number, or it was done already.",
    )


class OwnRequest(Rule):
    zh = "须由申请人以外的人核准:姓名和所用的密钥(或 Kafka 用户)都不得相同。"
    en = (
        "This is approved by somebody else than who asked for it: under another name, and by another key (or user of "
        "Kafka)."
    )


class AlreadyErased(Rule):
    zh, en = "已经核准的删除不能撤回或更正。", "An erasure that was approved is not taken back or corrected."


class AlreadyPublished(Rule):
    zh, en = (
        "已公布的数据不能撤回或更正,只能重述。",
        "What was published is not taken back or corrected, only restated.",
    )


def tags(event: Event) -> Iterable[str]:
    """Return the tag that later decisions look a fact up by: all decisions on a plan's targets, or on one month."""
    match event:
        case PlanAdopted() | TargetRevised() | TargetSplit():
            yield f"targets:{event.plan}"
        case (
            PeriodSubmitted() | PeriodReturned() | PeriodApproved() | CloseOverridden() | PeriodClosed()
            | RestatementRequested() | PeriodRestated()
        ):  # fmt: skip
            yield f"month:{event.plan}:{event.month}"
        case NoteWritten() | ErasureRequested() | PersonErased():
            pass  # a later one has the same subject


def _query(report: Report, plans: Mapping[str, Plan]) -> Iterable[str]:
    """Return the tags and streams that a report's decision depends on; of a target also the closes that it reaches."""
    kind, plan, *rest = report.subject.split("/")
    if kind in ("month", "restatement"):
        yield f"month:{plan}:{rest[0]}"
        return
    if kind in ("note", "erasure"):
        return
    yield f"targets:{plan}"
    if plan in plans and isinstance(report.event, PlanAdopted | TargetRevised | TargetSplit):
        for month in months_of(plans[plan], "plan"):
            if days_of(f"{month:%Y-%m}")[1] >= report.event.effective_from:
                yield f"month/{plan}/{month:%Y-%m}"


def _decide_on_targets(event: TargetEvent, plan: Plan, view: View) -> Rule | None:
    history = History(plan, view)
    match event:
        case PlanAdopted():
            rule = _decide_adoption(event, plan, history)
        case TargetRevised() | TargetSplit():
            counted = plan.indicators.get(event.indicator)
            if counted is None or event.indicator not in history.plan.indicators:
                return UnknownIndicator("/data/indicator")
            _, indicator = counted
            if isinstance(event, TargetRevised):
                rule = _decide_revision(event, plan, indicator, history)
            else:
                rule = _decide_split(event, plan, indicator, history)
        case _:
            assert_never(event)
    return rule or _decide_effective_day(event, plan, history, view)


def _decide_effective_day(event: TargetEvent, plan: Plan, history: History, view: View) -> Rule | None:
    last = last_day(plan, event.period) if isinstance(event, TargetSplit) else plan.period.last
    # The first adoption holds for all days, whichever it names.
    first_adoption = isinstance(event, PlanAdopted) and history.adopted is None
    if event.effective_from > last and not first_adoption:
        return NeverInForce("/data/effective_from", last=last.isoformat())
    closed = [closed.month for closed, _ in view.of(PeriodClosed) if days_of(closed.month)[1] >= event.effective_from]
    return ReasonNeeded("/data/why", month=max(closed)) if closed and event.why is None else None


def _decide_adoption(event: PlanAdopted, plan: Plan, history: History) -> Rule | None:
    try:
        adopted = plan_of(event)
    except PlanError as error:
        return PlanNotValid("/data/document", count=len(error.faults))
    if adopted.id != plan.id:
        return UnknownPlan("/data/document/id")
    if adopted.digest != event.sha256:
        return WrongDigest("/data/sha256")
    last = history.adopted.digest if history.adopted else None
    if event.against != last:
        return AdoptedSince("/data/against")
    if not all(_fits(plan, indicator) for _, indicator in adopted.indicators.values()):
        return BadTarget("/data/document")
    return NothingChanged("/data/document") if adopted.digest == last else None


def _fits(plan: Plan, adopted: Indicator) -> bool:
    """Return whether an `all` in the adopted document is of milestones in the plan that is counted, too."""
    targets = (adopted.target, *adopted.district_targets.values())
    counted = plan.indicators.get(adopted.id)
    return (
        counted is None
        or isinstance(counted[1].value, Milestones)
        or not any(target is not None and target.op == "all" for target in targets)
    )


def _decide_revision(event: TargetRevised, plan: Plan, indicator: Indicator, history: History) -> Rule | None:
    if event.district is not None and event.district not in plan.district_codes:
        return UnknownDistrict("/data/district")
    try:
        target = target_of(event)
    except ValueError:
        return BadTarget("/data/op")
    if target.op == "all" and not isinstance(indicator.value, Milestones):
        return BadTarget("/data/op")
    in_force = [
        history.target(event.indicator, event.district, period, event.effective_from)
        for period in periods_of(plan, indicator)
        if last_day(plan, period) >= event.effective_from
    ]
    if in_force and all(current is not None and _is_same(event, target, current) for current in in_force):
        return NothingChanged("/data/value")
    return None


def _is_same(event: TargetRevised, target: Target, in_force: TargetInForce) -> bool:
    if target.baseline is None:  # left as it was
        target = target.model_copy(update={"baseline": in_force.target.baseline})
    return target == in_force.target and event.clause in (None, in_force.clause)


def _decide_split(event: TargetSplit, plan: Plan, indicator: Indicator, history: History) -> Rule | None:
    if event.period not in periods_of(plan, indicator):
        return UnknownPeriod("/data/period")
    in_force = history.target(event.indicator, None, event.period, event.effective_from)
    if in_force is None or indicator.is_ratio or in_force.target.op == "all":
        return CannotBeSplit("/data/indicator")
    match event.over:
        case "months":
            if indicator.basis == "level":
                return CannotBeSplit("/data/over")
            if not event.parts.keys() <= {f"{month:%Y-%m}" for month in months_of(plan, event.period)}:
                return UnknownPeriod("/data/parts")
        case "districts":
            if not event.parts.keys() <= plan.district_codes:
                return UnknownDistrict("/data/parts")
        case _:
            assert_never(event.over)
    return _decide_sum(event, indicator, in_force.target)


def _decide_sum(event: TargetSplit, indicator: Indicator, target: Target) -> Rule | None:
    whole = goal_of(indicator, target)
    parts = sum(map(decimal, event.parts.values()), Decimal(0))
    stated = decimal(event.difference) if event.difference is not None else Decimal(0)
    if whole - parts != stated:
        return PartsDoNotAddUp("/data/parts", sum=f"{parts:f}", whole=f"{whole:f}", gap=f"{whole - parts:f}")
    return None


def _decide_on_month(event: MonthEvent, plan: Plan, report: Report, view: View, key: bytes) -> Rule | None:
    if not is_of(plan, event.month):
        return UnknownPeriod("/data/month")
    month = month_of(plan, event.month, view)
    after_close = isinstance(event, RestatementRequested | PeriodRestated)
    if after_close and not month.closed:
        return NotClosed("/data/month")
    if not after_close and month.closed:
        return MonthClosed("/data/month")
    if not month.over(today_of(report.received_at)):
        return MonthNotOver("/data/month")
    match event:
        case PeriodSubmitted():
            submitted = month.districts[report.district].status in ("submitted", "approved")
            return AlreadySubmitted() if submitted else None
        case PeriodReturned() | PeriodApproved():
            return _decide_answer(event, month)
        case CloseOverridden():
            return _decide_override(event, month)
        case PeriodClosed():
            not_approved = NotApproved(districts=", ".join(month.missing)) if month.missing else None
            return not_approved or _decide_figures(event, month, report, key) or _decide_witnesses(event, plan)
        case RestatementRequested():
            return None
        case PeriodRestated():
            return _decide_request(event, month, report) or _decide_figures(event, month, report, key)
        case _:
            assert_never(event)


def _decide_answer(event: PeriodReturned | PeriodApproved, month: PlanMonth) -> Rule | None:
    if event.submitted_by not in month.districts:
        return UnknownDistrict("/data/submitted_by")
    status = month.districts[event.submitted_by].status
    if status == "submitted" or (status == "approved" and isinstance(event, PeriodReturned)):
        return None
    return NotSubmitted("/data/submitted_by")


def _decide_override(event: CloseOverridden, month: PlanMonth) -> Rule | None:
    if not month.districts.keys() >= set(event.districts):
        return UnknownDistrict("/data/districts")
    return None if set(event.districts) & set(month.missing) else NothingToOverride("/data/districts")


def _decide_request(event: PeriodRestated, month: PlanMonth, report: Report) -> Rule | None:
    if event.request_no not in month.open_requests:
        return NotRequested("/data/request_no")
    own = asked_by(month.requests[event.request_no], report.reported_by, event.by)
    return OwnRequest("/data/by") if own else None


def _decide_figures(event: PeriodClosed | PeriodRestated, month: PlanMonth, report: Report, key: bytes) -> Rule | None:
    known_at = parse_instant(event.known_at)
    earliest = max((publication.known_at for publication in month.published), default=None)
    if (
        known_at is None
        or today_of(known_at) <= month.last
        or known_at > report.received_at
        or (earliest is not None and known_at < earliest)
    ):
        return BadKnownAt("/data/known_at")
    if digest_of(event.figures) != event.sha256:
        return WrongDigest("/data/sha256")
    seal = seal_of(key, event.plan, event.month, event.known_at, event.sha256)
    ours = bool(key) and event.seal is not None and hmac.compare_digest(event.seal, seal)
    return None if ours else NotOurFigures("/data/seal")


def _decide_witnesses(event: PeriodClosed, plan: Plan) -> Rule | None:
    """Refuse a close without the cosignatures that its plan asks for, of each log that is counted from."""
    logs = lacking(plan, all_witnessed(plan, heads_of(event.checkpoints or ())))
    if plan.witnesses is None or not logs:
        return None
    zh, en = sentence(logs, plan.witnesses.needed)
    return NotWitnessed("/data/checkpoints", zh=zh, en=en)


def _decide_note(event: NoteWritten, plan: Plan, report: Report, view: View) -> Rule | None:
    counted = plan.indicators.get(event.indicator)
    if counted is None:
        return UnknownIndicator("/data/indicator")
    if event.period not in periods_of(plan, counted[1]):
        return UnknownPeriod("/data/period")
    if event.of not in plan.district_codes:
        return UnknownDistrict("/data/of")
    if event.of not in may_write(plan, [plan.successors.get(report.district, report.district)]):
        return NotYours("/data/of")
    written = notes_of(plan, view).get(NotedCell(event.indicator, event.period, event.of), [])
    same = written and (written[-1].event.cause, written[-1].event.next_step) == (event.cause, event.next_step)
    return NothingChanged("/data/cause") if same else None


def _decide_undoing(event: MonthEvent, subject: str, plan: Plan, view: View) -> type[Rule] | None:
    """Return the rule that keeps a fact of a month from being corrected or retracted.

    What was published stays, with the request that a restatement was published for; so does what led to a close.
    """
    match event:
        case PeriodClosed() | PeriodRestated():
            return AlreadyPublished
        case RestatementRequested():
            published = {publication.request for publication in month_of(plan, event.month, view).published}
            return AlreadyPublished if subject.rpartition("/")[2] in published else None
        case PeriodSubmitted() | PeriodReturned() | PeriodApproved() | CloseOverridden():
            return MonthClosed if month_of(plan, event.month, view).closed else None
        case _:
            assert_never(event)


def _decide_erasure(event: ErasureEvent, report: Report, view: View) -> Rule | None:
    """Return the rule that an erasure of a person breaks (contract F12): two take part, and what was approved stays."""
    if broken := _decide_taking_back(report.subject, view):
        return broken
    if isinstance(event, ErasureRequested):
        return None
    request = next((it.fact for _, it in view.of(ErasureRequested) if it.fact.stream == report.subject), None)
    if request is None:
        return NotRequested("/subject")
    return OwnRequest("/data/by") if asked_by(request, report.reported_by, event.by) else None


def _decide_taking_back(subject: str, view: View) -> Rule | None:
    approved = any(it.fact.stream == subject for _, it in view.of(PersonErased))
    return AlreadyErased("/subject") if approved else None


def domain(plans: Sequence[Plan], figures_key: bytes = b"") -> Domain:
    """Return planning's rules over the plans that are counted.

    `figures_key`: by which the projection seals figures (RULES F8a); without it no figures are taken.
    """
    plans_by_id = {plan.id: plan for plan in plans}

    def query(report: Report, _view: View) -> Iterable[str]:
        return _query(report, plans_by_id)

    def decide(report: Report, view: View) -> Decision:
        if isinstance(report.event, ErasureRequested | PersonErased):
            broken = _decide_erasure(report.event, report, view)
            return Refuse(broken) if broken else Accept()
        event = cast("PlanEvent", report.event)
        plan = plans_by_id.get(event.plan)
        if plan is None:
            return Refuse(UnknownPlan("/data/plan"))
        if isinstance(event, PlanAdopted | TargetRevised | TargetSplit):
            rule = _decide_on_targets(event, plan, view)
        elif isinstance(event, NoteWritten):
            rule = _decide_note(event, plan, report, view)
        elif report.corrects is not None and _decide_undoing(event, report.subject, plan, view) is AlreadyPublished:
            rule = AlreadyPublished("/corrects")
        else:
            rule = _decide_on_month(event, plan, report, view, figures_key)
        return Refuse(rule) if rule else Accept()

    def may_retract(fact: Fact, view: View) -> Rule | None:
        if isinstance(fact.event, ErasureRequested | PersonErased):
            return _decide_taking_back(fact.stream, view)
        event = cast("PlanEvent", fact.event)
        plan = plans_by_id.get(event.plan)
        if plan is None or isinstance(event, PlanAdopted | TargetRevised | TargetSplit | NoteWritten):
            return None
        rule = _decide_undoing(event, fact.stream, plan, view)
        return None if rule is None else rule()

    return Domain(tags, query, decide, may_retract=may_retract, successors=successors(plans))
