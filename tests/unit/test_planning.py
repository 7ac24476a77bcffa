"""Planning's own rules: what may be adopted, revised, split, submitted, closed; each once accepted, once refused."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from services.planning.decider import (
    AdoptedSince,
    AlreadyErased,
    AlreadyPublished,
    AlreadySubmitted,
    BadKnownAt,
    BadTarget,
    CannotBeSplit,
    MonthClosed,
    MonthNotOver,
    NeverInForce,
    NotApproved,
    NotClosed,
    NothingChanged,
    NothingToOverride,
    NotOurFigures,
    NotRequested,
    NotSubmitted,
    NotWitnessed,
    OwnRequest,
    PartsDoNotAddUp,
    PlanNotValid,
    ReasonNeeded,
    UnknownDistrict,
    UnknownIndicator,
    UnknownPeriod,
    UnknownPlan,
    WrongDigest,
    domain,
)
from services.planning.events import (
    LANGUAGE,
    CloseOverridden,
    ErasedCounts,
    ErasureRequested,
    Figure,
    NoteWritten,
    PeriodApproved,
    PeriodClosed,
    PeriodRestated,
    PeriodReturned,
    PeriodSubmitted,
    PersonErased,
    PlanAdopted,
    RestatementRequested,
    TargetRevised,
    TargetSplit,
    digest_of,
    seal_of,
)
from services.planning.months import Action, is_of, month_of
from services.planning.notes import may_write
from services.planning.plan_differences import differences
from services.planning.targets_in_force import History, document_of, months_of, plan_of
from services.projection.assessment.targets import Targets
from services.projection.counting.periods import WHOLE
from services.vocabulary import ClosedBefore
from shared.contract.events import Event
from shared.contract.rules import NotYours
from shared.deciding.view import View
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import CosigningKey, read_checkpoint
from shared.plan.loading import check_plan, load_plan, read_plan
from shared.plan.model import Plan
from tests.harness.given import GivenReport, Situation, report, retraction, rules_of

FILE = Path(__file__).resolve().parents[2] / "plans" / "shaoxing-2023-2025.yaml"
PLAN = load_plan(FILE)
ID = PLAN.id
KEY = b"f" * 32
given = rules_of(domain([PLAN], KEY), LANGUAGE)
CITY = "330600"
SIX = sorted(district.code for district in PLAN.districts if not district.city)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
BY = "计划科"


@cache
def changed(old: str = "", new: str = "") -> Plan:
    """Return the plan with one text of its file replaced."""
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    return read_plan(text.replace(old, new, 1), "changed.yaml")


RAISED = ('target: {op: ">=", value: 3000}', 'target: {op: ">=", value: 3600}')  # 1.3.a


def adopt(plan: Plan, on: str = "2024-01-01", against: str | None = None, named: str = ID, **other: Any) -> GivenReport:
    event = PlanAdopted.model_validate(
        {"plan": named, "document": document_of(plan), "sha256": plan.digest, "against": against,
           "effective_from": date.fromisoformat(on), "by": BY} | other
    )  # fmt: skip
    return report(f"plan/{event.plan}", event, district=CITY)


def revise(on: str = "2024-07-01", **other: Any) -> GivenReport:
    event = TargetRevised.model_validate(
        {"plan": ID, "indicator": "1.3.a", "op": ">=", "value": 3600, "effective_from": date.fromisoformat(on),
           "by": BY, "why": "中期评估"} | other
    )  # fmt: skip
    return report(f"target/{event.plan}/{event.indicator}", event, district=CITY)


def split(parts: Mapping[str, float], over: str = "districts", on: str = "2024-01-01", **other: Any) -> GivenReport:
    event = TargetSplit.model_validate(
        {"plan": ID, "indicator": "1.3.a", "period": "2024", "over": over, "parts": parts,
           "effective_from": date.fromisoformat(on), "by": BY} | other
    )  # fmt: skip
    return report(f"split/{event.plan}/{event.indicator}/{event.period}/{event.over}", event, district=CITY)


def submit(district: str = "330681", month: str = "2024-03", **when: str) -> GivenReport:
    event = PeriodSubmitted(plan=ID, month=month, by="统计科")
    return report(f"month/{ID}/{month}/{district}", event, district=district, **when)


def approve(district: str = "330681", month: str = "2024-03") -> GivenReport:
    event = PeriodApproved(plan=ID, month=month, submitted_by=district, by=BY)
    return report(f"month/{ID}/{month}/{district}", event, district=CITY)


def send_back(district: str = "330681", month: str = "2024-03") -> GivenReport:
    event = PeriodReturned(plan=ID, month=month, submitted_by=district, items=["1.3.a"], message="请核对", by=BY)
    return report(f"month/{ID}/{month}/{district}", event, district=CITY)


def override(*districts: str, month: str = "2024-03") -> GivenReport:
    event = CloseOverridden(plan=ID, month=month, districts=list(districts), by="分管领导", why="该县系统故障")
    return report(f"month/{ID}/{month}", event, district=CITY)


FIGURES = [Figure(indicator="1.3.a", period="2024", numerator=120, value=120, goal=3000, met=False)]


def sealed(month: str, known_at: str, other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a month's figures with the projection's seal, unless the test has one of its own."""
    data: dict[str, Any] = {"plan": ID, "month": month, "known_at": known_at, "figures": FIGURES}
    data |= {"sha256": digest_of(FIGURES), **other}
    return {"seal": seal_of(KEY, ID, month, data["known_at"], data["sha256"]), "by": BY} | data


def close(month: str = "2024-03", **other: Any) -> GivenReport:
    event = PeriodClosed.model_validate(sealed(month, "2024-12-02T09:00:00+08:00", other))
    return report(f"month/{ID}/{month}", event, district=CITY)


def ask(number: str = "R-1", by: str = "诸暨市统计科", month: str = "2024-03", key: str | None = "open") -> GivenReport:
    event = RestatementRequested(plan=ID, month=month, by=by, why="补报 12 人")
    return report(f"restatement/{ID}/{month}/{number}", event, by=key)


def restate(number: str = "R-1", key: str | None = "open", **other: Any) -> GivenReport:
    event = PeriodRestated.model_validate(
        {"request_no": number} | sealed("2024-03", "2024-12-20T09:00:00+08:00", other)
    )
    return report(f"month/{ID}/2024-03", event, district=CITY, by=key)


ALL_APPROVED = tuple(step for code in SIX for step in (submit(code), approve(code)))


def test_a_first_adoption_is_compared_with_nothing() -> None:
    given().when(adopt(PLAN)).then_accepted()


def test_a_plan_that_is_not_counted_is_not_adopted() -> None:
    given().when(adopt(PLAN, named="hangzhou-2023-2025")).then_refused(UnknownPlan, "/data/plan")


def test_a_document_of_another_plan_is_not_adopted() -> None:
    other = document_of(PLAN) | {"id": "other-plan"}
    given().when(adopt(PLAN, document=other)).then_refused(UnknownPlan, "/data/document/id")


def test_a_document_with_a_typo_is_not_adopted() -> None:
    wrong = document_of(PLAN)
    wrong["bodeis"] = wrong.pop("bodies")
    given().when(adopt(PLAN, document=wrong)).then_refused(PlanNotValid, "/data/document")


def test_a_document_that_contradicts_itself_is_not_adopted() -> None:
    wrong = document_of(PLAN) | {"month_weights": [1] * 13}
    given().when(adopt(PLAN, document=wrong)).then_refused(PlanNotValid, "/data/document")


def test_a_document_agrees_with_its_digest() -> None:
    given().when(adopt(PLAN, sha256="0" * 64)).then_refused(WrongDigest, "/data/sha256")


def test_what_was_adopted_since_must_be_compared_first() -> None:
    raised = changed(*RAISED)
    given(adopt(PLAN)).when(adopt(raised)).then_refused(AdoptedSince, "/data/against")
    given(adopt(PLAN)).when(adopt(raised, "2024-06-01", PLAN.digest)).then_accepted()


def test_adopting_the_same_again_changes_nothing() -> None:
    given(adopt(PLAN)).when(adopt(PLAN, "2024-06-01", PLAN.digest)).then_refused(NothingChanged)


def test_a_first_adoption_may_be_dated_after_the_plan_and_a_later_one_may_not() -> None:
    given().when(adopt(PLAN, "2026-11-28")).then_accepted()
    second = adopt(changed(*RAISED), "2026-01-01", PLAN.digest)
    given(adopt(PLAN)).when(second).then_refused(NeverInForce, "/data/effective_from")


def test_an_all_is_adopted_where_the_plan_counts_milestones() -> None:
    counted: Any = document_of(PLAN)
    (row,) = [row for row in counted["series"][0]["measures"][1]["indicators"] if row["id"] == "1.2.b"]
    row |= {"target": {"op": ">=", "value": 1}, "value": {"kind": "count", "of": row["value"]["each"][0]["of"]}}
    given().when(adopt(PLAN)).then_accepted()
    rules_of(domain([check_plan(counted)]), LANGUAGE)().when(adopt(PLAN)).then_refused(BadTarget, "/data/document")


def test_a_retracted_adoption_is_compared_with_no_more() -> None:
    given(adopt(PLAN), retraction(f"plan/{ID}", "report-1", CITY)).when(adopt(PLAN, "2024-06-01")).then_accepted()


def test_a_target_is_revised_with_number_comparator_and_clause() -> None:
    given().when(revise(clause="绍市人社〔2024〕9 号")).then_accepted()
    given().when(revise(op="range", value=3000, upper=3500)).then_accepted()
    given().when(revise(district="330681", value=600)).then_accepted()


@pytest.mark.parametrize(
    ("wrong", "rule", "pointer"),
    [
        ({"plan": "no-such-plan"}, UnknownPlan, "/data/plan"),
        ({"indicator": "9.9.z"}, UnknownIndicator, "/data/indicator"),
        ({"district": "330682"}, UnknownDistrict, "/data/district"),
        ({"value": None}, BadTarget, "/data/op"),
        ({"op": "range", "upper": 3000}, BadTarget, "/data/op"),
        ({"op": "range"}, BadTarget, "/data/op"),
        ({"op": "all", "value": None}, BadTarget, "/data/op"),
        ({"value": 3000}, NothingChanged, "/data/value"),
        ({"on": "2026-01-01"}, NeverInForce, "/data/effective_from"),
    ],
)
def test_a_wrong_revision_is_refused(wrong: dict[str, Any], rule: Any, pointer: str) -> None:
    given().when(revise(**wrong)).then_refused(rule, pointer)


def test_a_clause_alone_is_a_revision_and_the_same_one_again_is_none() -> None:
    given().when(revise(value=3000, clause="绍市人社〔2024〕9 号")).then_accepted()
    given(revise(clause="第 9 号文")).when(revise("2024-08-01", clause="第 9 号文")).then_refused(NothingChanged)
    given(revise(clause="第 9 号文")).when(revise("2024-08-01")).then_refused(NothingChanged)


def test_what_leaves_the_baseline_out_leaves_it_as_it_was() -> None:
    level = {"indicator": "1.1.e"}
    given().when(revise(**level, value=35)).then_refused(NothingChanged)
    given().when(revise(**level, value=35, baseline=20)).then_accepted()
    reports = [revise(**level, value=40), revise("2024-08-01", **level, value=41, baseline=20),
            revise("2024-09-01", **level, value=42)]  # fmt: skip
    known = targets(*reports)
    in_force = [known.target("1.1.e", None, WHOLE, date(2024, month, 1), NOW) for month in (6, 7, 8, 9)]
    assert [(int(entry.target.value or 0), int(entry.target.baseline or 0)) for entry in in_force if entry] == [
        (35, 14), (40, 14), (41, 20), (42, 20),
    ]  # fmt: skip


def test_an_all_is_revised_for_milestones() -> None:
    given(revise(indicator="1.2.b", value=3)).when(
        revise("2024-09-01", indicator="1.2.b", op="all", value=None)
    ).then_accepted()


def test_a_revision_within_a_closed_month_needs_a_reason() -> None:
    closed = given(*ALL_APPROVED, close())
    rule = closed.when(revise("2024-03-31", why=None)).then_refused(ReasonNeeded, "/data/why")
    assert "2024-03" in rule.reason()["en"]
    closed.when(revise("2024-03-31", why="目标录入有误")).then_accepted()
    closed.when(revise("2024-04-01", why=None)).then_accepted()


def test_an_adoption_and_a_split_within_a_closed_month_need_a_reason_too() -> None:
    closed = given(*ALL_APPROVED, close())
    closed.when(adopt(PLAN)).then_refused(ReasonNeeded, "/data/why")
    closed.when(split(parts_of(3000))).then_refused(ReasonNeeded, "/data/why")


def parts_of(whole: int) -> dict[str, float]:
    return dict.fromkeys(SIX, whole // 6)


def test_parts_that_add_up_are_a_split() -> None:
    given().when(split(parts_of(3000))).then_accepted()
    given().when(split({"330681": 2900.5, "330683": 99.5})).then_accepted()


def test_parts_that_do_not_add_up_need_the_gap_stated() -> None:
    rule = given().when(split(parts_of(2400))).then_refused(PartsDoNotAddUp, "/data/parts")
    assert {"2400", "3000", "600"} <= set(
        rule.reason()["en"].replace(",", " ").replace(".", " ").replace(":", " ").split()
    )
    given().when(split(parts_of(2400), difference=500)).then_refused(PartsDoNotAddUp)
    given().when(split(parts_of(2400), difference=600)).then_accepted()
    given().when(split(parts_of(3600), difference=-600)).then_accepted()


def test_a_split_adds_up_to_the_target_in_force_on_its_day() -> None:
    given(revise("2024-07-01")).when(split(parts_of(3600), on="2024-07-01")).then_accepted()
    given(revise("2024-07-01")).when(split(parts_of(3600), on="2024-06-30")).then_refused(PartsDoNotAddUp)


def test_a_range_is_split_by_its_lower_bound() -> None:
    given().when(split({"330681": 1, "330602": 1}, indicator="2.3.a", period="plan")).then_accepted()


def test_months_of_a_year_add_up() -> None:
    months = {f"2024-{month:02}": 250 for month in range(1, 13)}
    given().when(split(months, over="months")).then_accepted()
    given().when(split(months | {"2024-12": 251}, over="months")).then_refused(PartsDoNotAddUp)
    given().when(split({"2025-01": 3000}, over="months")).then_refused(UnknownPeriod, "/data/parts")


@pytest.mark.parametrize(
    ("wrong", "rule", "pointer"),
    [
        ({"plan": "no-such-plan"}, UnknownPlan, "/data/plan"),
        ({"indicator": "9.9.z"}, UnknownIndicator, "/data/indicator"),
        ({"period": "plan"}, UnknownPeriod, "/data/period"),
        ({"period": "2026"}, UnknownPeriod, "/data/period"),
        ({"on": "2025-01-01"}, NeverInForce, "/data/effective_from"),  # the period is 2024
        ({"parts": {"330682": 3000}}, UnknownDistrict, "/data/parts"),
        ({"indicator": "1.1.e", "period": "plan"}, CannotBeSplit, "/data/indicator"),  # a share
        ({"indicator": "1.2.b", "period": "plan"}, CannotBeSplit, "/data/indicator"),  # all
        ({"indicator": "1.4.a", "period": "plan"}, CannotBeSplit, "/data/indicator"),  # monitored
    ],
)
def test_a_wrong_split_is_refused(wrong: dict[str, Any], rule: Any, pointer: str) -> None:
    given().when(split(**({"parts": parts_of(3000)} | wrong))).then_refused(rule, pointer)


def test_a_month_is_submitted_once() -> None:
    given().when(submit()).then_accepted()
    given(submit()).when(submit()).then_refused(AlreadySubmitted)
    given(submit()).when(submit("330683")).then_accepted()
    given(submit(), approve()).when(submit()).then_refused(AlreadySubmitted)


def test_a_month_that_is_not_over_is_not_submitted() -> None:
    given().when(submit(month="2024-12", received="2024-12-31")).then_refused(MonthNotOver, "/data/month")
    given().when(submit(month="2024-12", received="2025-01-01")).then_accepted()


def test_a_month_outside_the_plan_is_not_submitted() -> None:
    given().when(submit(month="2022-12")).then_refused(UnknownPeriod, "/data/month")
    given().when(submit(month="0000-01")).then_refused(UnknownPeriod, "/data/month")


def test_what_was_returned_is_submitted_again() -> None:
    given(submit()).when(send_back()).then_accepted()
    given(submit(), send_back()).when(submit()).then_accepted()
    given(submit(), approve()).when(send_back()).then_accepted()


def test_only_what_was_submitted_is_returned_or_approved() -> None:
    given().when(approve()).then_refused(NotSubmitted, "/data/submitted_by")
    given().when(send_back()).then_refused(NotSubmitted, "/data/submitted_by")
    given(submit(), send_back()).when(approve()).then_refused(NotSubmitted)
    given(submit(), send_back()).when(send_back()).then_refused(NotSubmitted)
    given(submit()).when(approve("330699")).then_refused(UnknownDistrict, "/data/submitted_by")
    given(submit()).when(approve()).then_accepted()


def test_a_withdrawn_submission_is_none() -> None:
    withdrawn = retraction(f"month/{ID}/2024-03/330681", "report-1")
    given(submit(), withdrawn).when(approve()).then_refused(NotSubmitted)
    given(submit()).when(withdrawn).then_accepted()
    given(submit(), approve(), withdrawn).when(submit()).then_accepted()
    given(submit(), approve(), withdrawn).when(send_back()).then_refused(NotSubmitted)
    one_withdrawn = (*ALL_APPROVED, retraction(f"month/{ID}/2024-03/{SIX[0]}", "report-1", SIX[0]))
    given(*one_withdrawn).when(close()).then_refused(NotApproved)


def test_a_month_closes_once_every_district_is_approved() -> None:
    given(*ALL_APPROVED).when(close()).then_accepted()
    rule = given(*ALL_APPROVED[:-1]).when(close()).then_refused(NotApproved)
    assert SIX[-1] in rule.reason()["zh"]


def test_somebody_answers_for_closing_without_a_district() -> None:
    given(*ALL_APPROVED[:-1]).when(override(SIX[-1])).then_accepted()
    given(*ALL_APPROVED[:-1], override(SIX[-1])).when(close()).then_accepted()
    given(*ALL_APPROVED[:-1], override(SIX[0])).when(close()).then_refused(NotApproved)


def test_there_is_nothing_to_override_where_all_are_approved() -> None:
    given(*ALL_APPROVED).when(override(SIX[0])).then_refused(NothingToOverride, "/data/districts")
    given().when(override("330699")).then_refused(UnknownDistrict, "/data/districts")


def test_a_month_closes_once() -> None:
    given(*ALL_APPROVED, close()).when(close()).then_refused(ClosedBefore)


def test_a_closed_month_takes_nothing_more() -> None:
    closed = given(*ALL_APPROVED, close())
    for late in (submit(), approve(), send_back(), override(SIX[0])):
        closed.when(late).then_refused(MonthClosed, "/data/month")


def test_what_led_to_a_close_and_the_close_are_not_taken_back() -> None:
    closed = given(*ALL_APPROVED, close())
    closed.when(retraction(f"month/{ID}/2024-03", "report-13", CITY)).then_refused(AlreadyPublished)
    closed.when(retraction(f"month/{ID}/2024-03/{SIX[0]}", "report-1", SIX[0])).then_refused(MonthClosed)
    again = report(f"month/{ID}/2024-03", close().event, district=CITY, corrects="report-13")
    closed.when(again).then_refused(AlreadyPublished, "/corrects")


def test_figures_agree_with_their_digest() -> None:
    given(*ALL_APPROVED).when(close(sha256="0" * 64)).then_refused(WrongDigest, "/data/sha256")


DIGEST = digest_of(FIGURES)


@pytest.mark.parametrize(
    "seal",
    [
        None,
        "0" * 64,
        seal_of(b"x" * 32, ID, "2024-03", "2024-12-02T01:00:00Z", DIGEST),
        seal_of(KEY, ID, "2024-02", "2024-12-02T01:00:00Z", DIGEST),
        seal_of(KEY, "other", "2024-03", "2024-12-02T01:00:00Z", DIGEST),
        seal_of(KEY, ID, "2024-03", "2024-12-02T01:00:01Z", DIGEST),
        seal_of(KEY, ID, "2024-03", "2024-12-02T01:00:00Z", "0" * 64),
    ],
)
def test_figures_that_the_projection_has_not_counted_are_not_published(seal: str | None) -> None:
    """RULES F8a: sealed by another key, for another month, plan or instant, over other figures, or not at all."""
    given(*ALL_APPROVED).when(close(seal=seal)).then_refused(NotOurFigures, "/data/seal")
    given(*ALL_APPROVED, close(), ask()).when(restate(seal=seal)).then_refused(NotOurFigures, "/data/seal")


WITNESSES = [CosigningKey(f"{name}.example", name.encode().ljust(32, b"w")) for name in ("a", "b", "c")]


def checkpoint_of(service: str, *witnesses: CosigningKey, size: int = 7) -> dict[str, Any]:
    note = LogSigner(service, b"k" * 32).checkpoint(size, b"r" * 32)
    head = read_checkpoint(
        note + "".join(witness.cosign(read_checkpoint(note).text, 1_700_000_000) for witness in witnesses)
    )
    return {"origin": head.origin, "size": size, "root": head.text.split("\n")[2], "signatures": [*head.signatures]}


def test_a_plan_that_asks_for_witnesses_is_closed_with_their_cosignatures_of_every_log() -> None:
    names = ", ".join(f'{{name: {{zh: 见证, en: W}}, key: "{witness.verifier_key}"}}' for witness in WITNESSES)
    plan = changed("\nseries:", f"\nwitnesses: {{needed: 2, of: [{names}]}}\nseries:")
    asks = rules_of(domain([plan], KEY), LANGUAGE)(*ALL_APPROVED)
    a, b, c = WITNESSES
    logs = ("enrollment", "competition", "recruitment", "subsidy")
    whole = [checkpoint_of(log, a, b) for log in logs]
    asks.when(close(checkpoints=whole)).then_accepted()
    asks.when(close(checkpoints=[checkpoint_of(log, c, a, b) for log in logs])).then_accepted()
    other = CosigningKey("a.example", b"o" * 32)
    for wrong in (
        None,
        whole[:3],
        [*whole[:3], checkpoint_of("planning", a, b)],
        [*whole[:3], checkpoint_of("subsidy", a)],
        [*whole[:3], checkpoint_of("subsidy", a, a)],
        [*whole[:3], checkpoint_of("subsidy", a, other)],
        [*whole[:3], whole[3] | {"size": 8}],
    ):
        asks.when(close(checkpoints=wrong)).then_refused(NotWitnessed, "/data/checkpoints")
    given(*ALL_APPROVED).when(close()).then_accepted()


def test_without_a_key_no_figures_are_taken() -> None:
    sealed_by_nothing = close(seal=seal_of(b"", ID, "2024-03", "2024-12-02T01:00:00Z", DIGEST))
    rules_of(domain([PLAN]), LANGUAGE)(*ALL_APPROVED).when(sealed_by_nothing).then_refused(NotOurFigures)


@pytest.mark.parametrize("known_at", ["2024-12-02T09:00:00+08:00", "2024-12-02T01:00:00.000Z"])
def test_a_seal_holds_however_the_instant_is_spelled(known_at: str) -> None:
    seal = seal_of(KEY, ID, "2024-03", "2024-12-02T01:00:00Z", DIGEST)
    given(*ALL_APPROVED).when(close(known_at=known_at, seal=seal)).then_accepted()


def test_what_was_published_before_there_were_seals_stands_and_is_restated() -> None:
    old = (*ALL_APPROVED, close(seal=None), ask())
    given(*old).when(close()).then_refused(ClosedBefore)
    given(*old).when(restate()).then_accepted()


@pytest.mark.parametrize(
    ("asks", "approves", "own"),
    [
        (("甲", "open"), ("乙", "open"), False),  # while no keys are set, names alone tell people apart
        (("甲", "open"), ("甲", "open"), True),
        (("甲", "0badcafe"), ("甲", "1badcafe"), True),
        (("甲", "0badcafe"), ("乙", "0badcafe"), True),
        (("甲", "0badcafe"), ("乙", "1badcafe"), False),
        (("甲", "plan-office"), ("乙", "plan-office"), True),
        (("甲", "district-330600"), ("乙", "plan-office"), False),
        (("甲", None), ("乙", None), False),  # asked for before reports said by whom they came
        (("王 小明", "a"), ("王小明", "b"), True),
        (("Ｗang\u3000Xiao", "a"), ("WANG XIAO", "b"), True),
        (("Straße", "a"), ("STRASSE", "b"), True),
        (("①科", "a"), ("1科", "b"), True),
    ],
)
def test_who_asks_and_who_approves_differ_by_credential_and_by_name(
    asks: tuple[str, str | None], approves: tuple[str, str | None], own: bool
) -> None:
    """RULES F9a."""
    situation = given(*ALL_APPROVED, close(), ask(by=asks[0], key=asks[1]))
    outcome = situation.when(restate(by=approves[0], key=approves[1]))
    if own:
        outcome.then_refused(OwnRequest, "/data/by")
    else:
        outcome.then_accepted()
    month = month_of(PLAN, "2024-03", View(situation.facts))
    may_restate = "restate" in month.actions(True, [], date(2025, 1, 1), approves[1] or "open")
    assert may_restate is not (asks[1] == approves[1] and asks[1] not in ("open", None))


@pytest.mark.parametrize("known_at", ["2024-03-31T23:59:00+08:00", "2025-01-01T00:00:00+08:00"])
def test_figures_are_known_after_the_month_and_not_ahead(known_at: str) -> None:
    given(*ALL_APPROVED).when(close(known_at=known_at)).then_refused(BadKnownAt, "/data/known_at")


def test_a_restatement_is_asked_for_and_approved_by_another() -> None:
    closed = (*ALL_APPROVED, close())
    given(*closed).when(ask()).then_accepted()
    given(*closed).when(restate()).then_refused(NotRequested, "/data/request_no")
    given(*closed, ask()).when(restate()).then_accepted()
    given(*closed, ask(by=BY)).when(restate()).then_refused(OwnRequest, "/data/by")
    given(*closed, ask(), restate()).when(restate()).then_refused(NotRequested)
    given(*closed, ask()).when(restate(known_at="2024-12-01T09:00:00+08:00")).then_refused(BadKnownAt)


def test_a_request_is_withdrawn_until_the_figures_were_restated_for_it() -> None:
    requested = (*ALL_APPROVED, close(), ask())
    taken_back = retraction(f"restatement/{ID}/2024-03/R-1", f"report-{len(requested)}")
    given(*requested).when(taken_back).then_accepted()
    given(*requested, taken_back).when(restate()).then_refused(NotRequested)
    given(*requested, restate()).when(taken_back).then_refused(AlreadyPublished)
    again = report(ask().subject, ask(by="他人").event, corrects=f"report-{len(requested)}")
    given(*requested, restate()).when(again).then_refused(AlreadyPublished, "/corrects")


def test_only_a_closed_month_is_restated() -> None:
    given().when(ask()).then_refused(NotClosed, "/data/month")
    given().when(restate()).then_refused(NotClosed, "/data/month")


# --- which target holds ----------------------------------------------------------------------------------------------


def note(district: str = "330681", **other: Any) -> GivenReport:
    event = NoteWritten.model_validate(
        {"plan": ID, "indicator": "4.1.b", "period": "2024", "of": "330681", "cause": "企业推迟招聘",
         "next_step": "月底前核定用工计划", "by": "统计科"} | other
    )  # fmt: skip
    return report(f"note/{event.plan}/{event.indicator}/{event.period}/{event.of}", event, district=district)


def test_a_district_writes_on_its_own_cells_and_the_city_on_all() -> None:
    given().when(note()).then_accepted()
    given().when(note(of="330602")).then_refused(NotYours, "/data/of")
    given().when(note(of=CITY)).then_refused(NotYours, "/data/of")
    for of in ("330681", CITY):
        given().when(note(CITY, of=of)).then_accepted()
    assert may_write(PLAN, ["330681", "110000"]) == ["330681"]
    assert may_write(PLAN, [CITY]) == sorted(PLAN.district_codes)
    assert may_write(PLAN, []) == []


def test_a_later_note_takes_the_place_of_the_earlier_whoever_wrote_it_and_the_same_again_is_none() -> None:
    given(note()).when(note()).then_refused(NothingChanged, "/data/cause")
    given(note()).when(note(CITY, next_step="每周报进度")).then_accepted()
    given(note(CITY)).when(note(cause="岗位不符")).then_accepted()
    given(note(), retraction(note().subject, "report-1")).when(note()).then_accepted()


@pytest.mark.parametrize(
    ("wrong", "rule", "pointer"),
    [
        ({"plan": "no-such-plan"}, UnknownPlan, "/data/plan"),
        ({"indicator": "9.9.z"}, UnknownIndicator, "/data/indicator"),
        ({"period": "2022"}, UnknownPeriod, "/data/period"),
        ({"period": "plan"}, UnknownPeriod, "/data/period"),
        ({"of": "110000"}, UnknownDistrict, "/data/of"),
    ],
)
def test_a_note_on_no_cell_of_the_plan_is_refused(wrong: dict[str, Any], rule: Any, pointer: str) -> None:
    given().when(note(CITY, **wrong)).then_refused(rule, pointer)


def wish(by: str = "信息科", key: str = "0badcafe", number: str = "2026-11") -> GivenReport:
    event = ErasureRequested(token="0f" * 16, by=by, why="本人申请")
    return report(f"erasure/{number}", event, district=CITY, by=key)


def erase(by: str = "分管领导", key: str = "1badcafe", number: str = "2026-11") -> GivenReport:
    lost = ErasedCounts(service="recruitment", keys=1, facts=2, waiting=0, quarantined=0, raw=1, position=9)
    event = PersonErased(by=by, unreadable=[lost], backups=1)
    return report(f"erasure/{number}", event, district=CITY, by=key)


def test_a_person_is_erased_when_one_asked_and_another_approves_and_that_stays() -> None:
    """RULES F12."""
    given(wish()).when(erase()).then_accepted()
    given().when(erase()).then_refused(NotRequested, "/subject")
    given(wish(number="2026-12")).when(erase()).then_refused(NotRequested, "/subject")
    given(wish()).when(erase(by="信 息科")).then_refused(OwnRequest, "/data/by")
    given(wish()).when(erase(key="0badcafe")).then_refused(OwnRequest, "/data/by")
    given(wish(key="open")).when(erase(key="open")).then_accepted()
    given(wish(), retraction(wish().subject, "report-1", CITY)).when(erase()).then_refused(NotRequested)
    for number in ("report-1", "report-2"):
        given(wish(), erase()).when(retraction(wish().subject, number, CITY)).then_refused(AlreadyErased)
    given(wish(), erase()).when(erase(by="他人", key="2badcafe")).then_refused(AlreadyErased, "/subject")


def targets(*reports: GivenReport) -> Targets:
    return Targets(PLAN, given(*reports).facts)


def goal(
    known: Targets, on: str, district: str | None = None, period: int = 2024, at: datetime = NOW
) -> Decimal | None:
    in_force = known.target("1.3.a", district, period, date.fromisoformat(on), at)
    return in_force.target.value if in_force else None


def test_before_anything_is_adopted_the_plan_file_holds() -> None:
    in_force = targets().target("1.3.a", None, 2024, date(2024, 5, 1), NOW)
    assert in_force is not None
    assert (in_force.target.value, in_force.clause, in_force.revised_by) == (Decimal(3000), "1.3", None)
    assert in_force.weights == (Decimal(1),) * 12
    assert targets().target("1.3.a", "330681", 2024, date(2024, 5, 1), NOW) is None
    assert targets().target("1.4.a", None, WHOLE, date(2024, 5, 1), NOW) is None


def test_a_revision_counts_from_its_day_and_an_older_view_sees_the_older_target() -> None:
    known = targets(revise("2024-07-01"))
    assert [goal(known, on) for on in ("2024-06-30", "2024-07-01", "2024-12-31")] == [3000, 3600, 3600]
    assert goal(known, "2024-12-31", at=datetime(2024, 12, 30, tzinfo=UTC)) == 3000


def test_an_annual_period_has_the_target_in_force_on_its_last_day() -> None:
    known = targets(revise("2025-02-01"))
    assert goal(known, "2025-06-30", period=2024) == 3000
    assert goal(known, "2025-06-30", period=2025) == 3600


def test_of_two_revisions_the_later_day_wins_and_on_one_day_the_later_recorded() -> None:
    known = targets(revise("2024-09-01", value=4000), revise("2024-07-01"), revise("2024-07-01", value=3500))
    assert [goal(known, on) for on in ("2024-08-01", "2024-09-01")] == [3500, 4000]


def test_withdrawing_a_revision_restores_the_earlier_target() -> None:
    known = targets(revise("2024-07-01"), retraction(f"target/{ID}/1.3.a", "report-1", CITY))
    assert goal(known, "2024-12-31") == 3000


def test_a_revision_says_who_why_and_since_when() -> None:
    in_force = targets(revise(clause="第 9 号文")).target("1.3.a", None, 2024, date(2024, 8, 1), NOW)
    assert in_force is not None
    assert in_force.revised_by is not None
    revision = in_force.revised_by.event
    assert isinstance(revision, TargetRevised)
    assert in_force.clause == "第 9 号文"
    assert (revision.by, revision.why, revision.effective_from) == (BY, "中期评估", date(2024, 7, 1))


def test_an_adoption_changes_what_it_changes_and_undoes_no_revision() -> None:
    other = changed('target: {op: ">", value: 2000}', 'target: {op: ">", value: 2500}')  # 1.3.b
    known = targets(adopt(PLAN), revise("2024-03-01"), adopt(other, "2024-07-01", PLAN.digest))
    assert goal(known, "2024-08-01") == 3600
    second = known.target("1.3.b", None, 2024, date(2024, 8, 1), NOW)
    before = known.target("1.3.b", None, 2024, date(2024, 6, 30), NOW)
    assert second is not None
    assert before is not None
    assert [before.target.value, second.target.value] == [2000, 2500]


def test_an_adoption_is_compared_with_the_one_decided_before_it_whatever_its_day() -> None:
    known = targets(adopt(PLAN, "2024-05-01"), adopt(changed(*RAISED), "2024-03-01", PLAN.digest))
    assert [goal(known, on) for on in ("2024-02-29", "2024-03-01", "2024-12-31")] == [3000, 3600, 3600]
    assert known.as_known(NOW).adopted == changed(*RAISED)


def without(indicator: str) -> Plan:
    """Return the plan without one indicator."""
    document: Any = document_of(PLAN)
    for series in document["series"]:
        for measure in series["measures"]:
            measure["indicators"] = [entry for entry in measure["indicators"] if entry["id"] != indicator]
    return check_plan(document)


def test_an_indicator_that_an_adoption_leaves_out_has_no_target_until_one_brings_it_back() -> None:
    less = without("1.3.a")
    reports = [adopt(PLAN, "2023-01-01"), split(parts_of(3000)), adopt(less, "2024-07-01", PLAN.digest),
            adopt(PLAN, "2024-10-01", less.digest)]  # fmt: skip
    known = targets(*reports)
    days = ("2024-06-30", "2024-07-01", "2024-10-01")
    assert [goal(known, on) for on in days] == [3000, None, 3000]
    assert [goal(known, on, "330681") for on in days] == [500, None, None]
    (gone,) = differences(PLAN, less)
    assert (gone.indicator, gone.what, gone.after) == ("1.3.a", "indicator", None)
    given(*reports[:3]).when(revise("2024-08-01")).then_refused(UnknownIndicator)


def test_what_was_revised_before_its_adoption_was_withdrawn_or_of_another_period_breaks_nothing() -> None:
    """What the projection asks for is always answered, with a weight for each month that the plan counts."""
    less = without("1.3.a")
    reports = [adopt(less, "2023-01-01"), adopt(PLAN, "2024-05-01", less.digest), revise("2024-02-01", why="早"),
            retraction(f"plan/{ID}", "report-2", CITY)]  # fmt: skip
    for known in (targets(*reports[:3]), targets(*reports)):
        in_force = known.target("1.3.a", None, 2024, date(2024, 3, 1), NOW)
        assert in_force is not None
        assert in_force.target.value == 3600
        assert len(in_force.weights) == 12
    longer = changed("period: {from: 2023-01-01, to: 2025-12-31}", "period: {from: 2022-07-01, to: 2026-06-30}")
    known = targets(adopt(longer, "2023-01-01"))
    for indicator, period, months in (("1.3.a", 2024, 12), ("1.1.a", WHOLE, 36)):
        in_force = known.target(indicator, None, period, date(2024, 3, 1), NOW)
        assert in_force is not None
        assert len(in_force.weights) == months


def test_an_adopted_target_holds_although_the_file_says_another() -> None:
    raised = changed(*RAISED)
    known = Targets(raised, given(adopt(PLAN)).facts)
    assert goal(known, "2024-05-01") == 3000
    assert goal(known, "2023-05-01", period=2023) == 3000, "the first adoption holds for the days before it"


def test_districts_have_the_targets_they_were_given() -> None:
    known = targets(split(parts_of(3000)), revise(district="330681", value=700))
    assert goal(known, "2024-05-01", "330681") == 500
    assert goal(known, "2024-08-01", "330681") == 700
    assert goal(known, "2024-08-01", "330683") == 500
    assert goal(known, "2025-08-01", "330683", period=2025) is None


def test_a_part_is_compared_as_the_whole_is() -> None:
    known = targets(split({"330681": 2000}, indicator="1.3.b"))
    in_force = known.target("1.3.b", "330681", 2024, date(2024, 5, 1), NOW)
    assert in_force is not None
    assert in_force.target.op == ">"


def test_months_that_were_set_weigh_what_they_say() -> None:
    months = {"2024-01": 1000, "2024-12": 2000}
    in_force = targets(split(months, over="months")).target("1.3.a", None, 2024, date(2024, 5, 1), NOW)
    assert in_force is not None
    assert in_force.weights == (1000, *[0] * 10, 2000)
    assert in_force.months == {"2024-01": Decimal(1000), "2024-12": Decimal(2000)}


def test_what_a_file_would_change_is_named() -> None:
    assert differences(PLAN, PLAN) == []
    (only,) = differences(PLAN, changed(*RAISED))
    assert (only.indicator, only.what, only.before, only.after) == ("1.3.a", "target", ">= 3000", ">= 3600")
    assert len(differences(None, PLAN)) == len(PLAN.indicators)
    (lead,) = differences(PLAN, changed("lead: [hrss, education]", "lead: [finance]"))
    assert (lead.indicator, lead.what, lead.after) == ("1.3", "lead", '["finance"]')
    (whole,) = differences(PLAN, changed("document_no: ", "document_no: X"))
    assert (whole.indicator, whole.what) == ("plan", "document_no")
    (meaning,) = differences(PLAN, changed("where: {industry: new-materials}", "where: {industry: other}"))
    assert (meaning.indicator, meaning.what) == ("1.1.d", "what-counts")
    assert meaning.before != meaning.after


def test_a_document_says_what_its_file_says() -> None:
    event = adopt(PLAN).event
    assert isinstance(event, PlanAdopted)
    assert plan_of(event) == PLAN


# --- properties ------------------------------------------------------------------------------------------------------

DAYS = st.dates(date(2023, 1, 1), date(2025, 12, 31))
REVISIONS = st.lists(st.tuples(DAYS, st.integers(1, 9000), st.sampled_from([None, *SIX])), min_size=1, max_size=6)


def reports_of(revisions: list[tuple[date, int, str | None]]) -> list[GivenReport]:
    return [revise(str(on), value=value, district=district) for on, value, district in revisions]


def answers(history: History) -> list[object]:
    """Return the targets of 1.3.a that hold on some days, for the whole and each district."""
    days = [date(year, month, 1) for year in (2023, 2024, 2025) for month in (1, 6, 12)]
    in_force = [history.target("1.3.a", district, str(day.year), day) for day in days for district in (None, *SIX)]
    return [entry.target if entry else None for entry in in_force]


@settings(max_examples=60, deadline=None)
@for_all(REVISIONS, st.data())
def test_replay_in_any_chunks_gives_the_same_targets_and_a_withdrawn_revision_is_as_never_made(
    revisions: list[tuple[date, int, str | None]], data: st.DataObject
) -> None:
    reports = reports_of(revisions)
    which = data.draw(st.integers(0, len(reports) - 1))
    event: Event = reports[which].event
    assert isinstance(event, TargetRevised)
    facts = given(*reports, retraction(f"target/{ID}/1.3.a", f"report-{which + 1}", CITY)).facts
    history = History(PLAN, View(facts))
    assert answers(history) == answers(History(PLAN, View(reversed(facts))))
    without = History(PLAN, View(given(*reports[:which], *reports[which + 1 :]).facts))
    assert answers(history) == answers(without)


@settings(max_examples=60, deadline=None)
@for_all(st.dictionaries(st.sampled_from(SIX), st.integers(0, 2000), min_size=1), st.integers(-50, 50))
def test_a_split_that_is_accepted_adds_up_with_its_difference(parts: dict[str, float], off: int) -> None:
    gap = 3000 - sum(parts.values())
    given().when(split(parts, difference=gap)).then_accepted()
    if off:
        given().when(split(parts, difference=gap + off)).then_refused(PartsDoNotAddUp)
    known = targets(split(parts, difference=gap))
    in_force = [known.target("1.3.a", code, 2024, date(2024, 5, 1), NOW) for code in SIX]
    assert sum(entry.target.value or 0 for entry in in_force if entry) + gap == 3000  # type: ignore[operator]


# --- what may be done ------------------------------------------------------------------------------------------------


def may(situation: Situation, office: bool = False, *districts: str, today: date = date(2024, 12, 31)) -> list[Action]:
    return month_of(PLAN, "2024-03", View(situation.facts)).actions(office, districts, today)


def test_what_may_be_done_follows_from_who_asks_and_how_the_month_stands() -> None:
    assert may(given(), False, "330681") == ["submit"]
    assert may(given(), False, "330681", today=date(2024, 3, 31)) == []
    assert may(given(submit()), False, "330681") == []
    assert may(given(submit(), send_back()), False, "330681") == ["submit"]
    assert may(given(submit()), True) == ["approve", "return", "override"]
    assert may(given(*ALL_APPROVED), True) == ["return", "close"]
    assert may(given(*ALL_APPROVED, close()), True) == ["request-restatement"]
    assert may(given(*ALL_APPROVED, close(), ask()), True) == ["restate", "request-restatement"]
    assert may(given(*ALL_APPROVED, close()), False, "330681") == ["request-restatement"]
    assert may(given(*ALL_APPROVED, close())) == []


def test_months_are_calendar_months_of_a_plan_that_begins_in_february_too() -> None:
    other = load_plan(FILE.parents[1] / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
    assert [month for month in ("2024-01", "2024-02", "2026-01", "2026-02") if is_of(other, month)] == [
        "2024-02",
        "2026-01",
    ]
    assert [month_of(other, name, View()).last for name in ("2024-02", "2026-01")] == [
        date(2024, 2, 29),
        date(2026, 1, 31),
    ]
    months = months_of(other, "plan")
    assert (months[0], months[-1], len(months)) == (date(2024, 2, 1), date(2026, 1, 1), 24)


@pytest.mark.parametrize(("month", "day"), [("2024-02", "2024-03-01"), ("2026-01", "2026-02-01")])
def test_the_first_and_the_last_month_of_a_plan_that_begins_in_february_are_closed(month: str, day: str) -> None:
    other = load_plan(FILE.parents[1] / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml")
    lakeside = rules_of(domain([PLAN, other], KEY), LANGUAGE)
    city, *districts = sorted(other.district_codes)

    def of(name: str, event: Event, district: str, received: str = "2026-03-01") -> GivenReport:
        return report(f"month/{other.id}/{name}", event, on=month + "-01", received=received, district=district)

    submitted = PeriodSubmitted(plan=other.id, month=month, by="统计科")
    before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    early = of(f"{month}/{districts[0]}", submitted, districts[0], received=before)
    lakeside().when(early).then_refused(MonthNotOver, "/data/month")
    steps = []
    for district in districts:
        approved = PeriodApproved(plan=other.id, month=month, submitted_by=district, by=BY)
        steps += [of(f"{month}/{district}", submitted, district, day), of(f"{month}/{district}", approved, city)]
    data = sealed(month, f"{day}T09:00:00+08:00", {"plan": other.id})
    data["seal"] = seal_of(KEY, other.id, month, data["known_at"], data["sha256"])
    closing = of(month, PeriodClosed.model_validate(data), city)
    lakeside(*steps[:-1]).when(closing).then_refused(NotApproved)
    lakeside(*steps).when(closing).then_accepted()
    lakeside(*steps, closing).when(closing).then_refused(ClosedBefore)
