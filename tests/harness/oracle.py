"""A plain recount of every number from all facts, written apart from the projection: VOCABULARY 4 and RULES E, no more.

Slow on purpose: it knows no ledger, no batches and no order of arrival, and selects facts by the words of the plan file
alone. A fact is its CloudEvents envelope as a dict.
"""

import calendar
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from shared.plan.model import (
    Amount,
    Count,
    Coverage,
    Distinct,
    Indicator,
    Latest,
    Milestones,
    Other,
    Plan,
    Ratio,
    Selector,
    Sum,
)

Fact = dict[str, Any]
# RULES A1
STARTS = (
    "starts_on", "completed_on", "held_on", "issued_on", "granted_on", "conferred_on", "applied_on", "hired_on",
    "joined_on", "claimed_on", "requested_on", "signed_on", "on",
)  # fmt: skip
ENDS = ("withdrawn_on", "ended_on", "revoked_on", "closed_on")


# Every word by which a plan file selects facts, and those of them that name a type; a plan with another is refused.
_WORDS = {
    "kind", "of", "by", "named_in", "add", "minus", "each_district", "each", "name", "factor", "numerator",
    "denominator", "register", "covered", "since_registered", "fact", "where", "dated", "dated_in", "until",
    "ended_by", "same", "undone_by",
}  # fmt: skip
_NAMING = ("fact", "named_in", "dated_in", "undone_by")


def types_named(indicator: Indicator) -> set[str]:
    """Return the types of fact that the plan file names for an indicator, e.g. `recruitment.person-hired`."""
    return set(_types_in(indicator.value.model_dump(mode="json", by_alias=True, exclude_none=True)))


def _types_in(value: dict[str, Any]) -> Iterator[str]:
    assert value.keys() <= _WORDS, f"words that the recount does not know: {value.keys() - _WORDS}"
    for word, content in value.items():
        if word in _NAMING:
            yield content
        elif word not in ("where", "name"):  # which hold no selectors
            for part in content if isinstance(content, list) else [content]:
                if isinstance(part, dict):
                    yield from _types_in(part)


def recount(
    plan: Plan,
    indicator: Indicator,
    facts: Iterable[Fact],
    *,
    district: str | None,
    period: str,
    as_of: date,
    known_at: datetime,
) -> tuple[int, int | None]:
    """Return numerator and denominator of one cell; the denominator is None where the value is no ratio."""
    day = min(as_of, plan.period.last)
    if day < plan.period.first:
        return 0, 0 if isinstance(indicator.value, Ratio | Coverage) else None
    here = [district] if district else [each.code for each in plan.districts]
    named = types_named(indicator)
    own = [fact for fact in facts if _is_kernel(fact) or _kind(fact) in named]
    counting = _Recount(plan, indicator, period, day, own, known_at)
    value = indicator.value
    match value:
        case Coverage():
            members = counting.coverage(value)
            return sum(covered for at, covered in members if at in here), sum(1 for at, _ in members if at in here)
        case Ratio():
            return counting.total(value.numerator, here), counting.total(value.denominator, here)
        case Count() | Distinct() | Sum() | Latest() | Milestones():
            return counting.total(value, here), None
        case _:
            assert_never(value)


def due(plan: Plan, indicator: Indicator, district: str | None, period: str, as_of: date) -> Fraction | None:
    """RULES E18 day by day: what was to be expected, None without a target."""
    target = indicator.target if district is None else indicator.district_targets.get(district)
    if target is None:
        return None
    first, last = plan.period.first, plan.period.last
    if indicator.basis == "annual":
        first, last = max(first, date(int(period), 1, 1)), min(last, date(int(period), 12, 31))
    weights = indicator.month_weights or plan.month_weights
    gone = whole = Fraction(0)
    day = first
    while day <= last:
        weight = 1
        if indicator.basis != "level":
            months = (day.year - plan.period.first.year) * 12 + day.month - 1
            weight = weights[months % len(weights)]
        share = Fraction(weight, calendar.monthrange(day.year, day.month)[1])
        whole += share
        gone += share if day <= as_of else 0
        day += timedelta(days=1)
    value = Fraction(target.value) if target.value is not None else Fraction(len(indicator.value.each))  # type: ignore[union-attr]
    start = Fraction(target.baseline or 0) if indicator.basis == "level" else Fraction(0)
    return start + (value - start) * gone / whole


def happened_on(fact: Fact) -> date:
    """RULES A1, unless the selector names a field of its own."""
    if "dated" in fact:
        return date.fromisoformat(fact["dated"])
    for field in (*STARTS, *ENDS):
        if field in fact["data"]:
            return date.fromisoformat(fact["data"][field])
    return datetime.fromisoformat(fact["time"]).astimezone(ZoneInfo("Asia/Shanghai")).date()


def standing_at(facts: list[Fact], known_at: datetime) -> list[Fact]:
    """VOCABULARY 4.1: recorded by then, and neither retracted nor replaced nor suspended by then."""
    known = _known(facts, known_at)

    def taken_back(fact: Fact) -> bool:
        return any(
            other["type"].endswith(".report-retracted.v1")
            and _log(other) == _log(fact)
            and other["data"]["report_id"] == fact["reportid"]
            for other in known
        )

    def restored(fact: Fact, since: int) -> bool:
        return any(
            other["type"].endswith(".report-restored.v1")
            and (_log(other), other["reportid"]) == (_log(fact), fact["reportid"])
            and other["position"] > since
            for other in known
        )

    def retracted(fact: Fact) -> bool:
        """RULES G4: voided, too, unless it was restored since."""
        return taken_back(fact) or any(
            other["type"].endswith(".report-voided.v1")
            and (other["source"], other["data"]["source"]) == _log(fact)
            and other["data"]["report_id"] == fact["reportid"]
            and not restored(fact, other["position"])
            for other in known
        )

    def suspended(fact: Fact) -> bool:
        return any(
            other["type"].endswith(".report-suspended.v1")
            and _log(other) == _log(fact)
            and other["data"]["report_id"] == fact["reportid"]
            and other["position"] > fact["position"]
            for other in known
        )

    def replaced(fact: Fact) -> bool:
        return any(
            _log(other) == _log(fact) and other.get("corrects") == fact["reportid"] and not retracted(other)
            for other in known
        )

    return [fact for fact in known if not (retracted(fact) or suspended(fact) or replaced(fact))]


class _Recount:
    """One indicator on one day, over the facts that stand."""

    def __init__(
        self, plan: Plan, indicator: Indicator, period: str, day: date, facts: list[Fact], known_at: datetime
    ) -> None:
        self.known = _known(facts, known_at)
        self.standing = standing_at(facts, known_at)
        self.day = day
        self.districts = {district.code for district in plan.districts}
        if indicator.basis == "annual":
            year = int(period)
            self.first = max(plan.period.first, date(year, 1, 1))
            self.last = min(plan.period.last, date(year, 12, 31))
        else:
            self.first = plan.period.first if indicator.basis == "cumulative" else date.min
            self.last = plan.period.last

    def total(self, part: Count | Distinct | Sum | Latest | Milestones | Ratio | Coverage, here: list[str]) -> int:
        match part:
            case Count():
                return self._distinct([(s, lambda f: f["subject"]) for s in part.of], here)
            case Distinct():
                return self._distinct([(s, lambda f: self._key(f, part.by, part.named_in)) for s in part.of], here)
            case Milestones():
                keyed = [(s, lambda _f, n=n: str(n)) for n, milestone in enumerate(part.each) for s in milestone.of]
                return self._distinct(keyed, here)
            case Sum():
                return sum(
                    self._amount(amount, fact)
                    for amount in part.of
                    for fact, _ in self._holding(amount)
                    if fact["district"] in here
                )
            case Latest():
                return sum(
                    sum(_at(fact["data"], path) or 0 for path in part.add) if part.add else 1
                    for fact in self._latest(part.of).values()
                    if fact["district"] in here and _matches(part.of, fact)
                )
            case Ratio() | Coverage():
                raise TypeError("no part of a ratio")
            case _:
                assert_never(part)

    def coverage(self, value: Coverage) -> list[tuple[str, bool]]:
        """Return (district, covered) of each member of the register."""
        register = value.registered
        members: dict[str, list[Fact]] = {}
        if isinstance(register, Latest):
            for fact in self._latest(register.of).values():
                if fact["district"] in self.districts and _matches(register.of, fact):
                    members.setdefault(self._key(fact, register.by or "subject", None) or "", []).append(fact)
        else:
            for selector in register.of:
                for fact, _ in self._holding(selector, ever=True):
                    members.setdefault(self._key(fact, register.by, None) or "", []).append(fact)
        registered = []
        for key, facts in members.items():
            member = min(facts, key=_order)
            covered = any(
                self._key(fact, value.covered.by, None) == key
                and (not value.covered.since_registered or happened_on(fact) >= happened_on(member))
                for selector in value.covered.of
                for fact, _ in self._holding(selector, ever=True, anywhere=True)
            )
            registered.append((member["district"], covered))
        return registered

    def _distinct(self, keyed: list[tuple[Selector, Any]], here: list[str]) -> int:
        """VOCABULARY 4.3 and E8: each once, in the district of its earliest fact among those that count in the cell."""
        members: dict[str, list[Fact]] = {}
        for selector, key in keyed:
            for fact, _ in self._holding(selector):
                if (member := key(fact)) is not None:
                    members.setdefault(member, []).append(fact)
        return sum(1 for facts in members.values() if min(facts, key=_order)["district"] in here)

    def _key(self, fact: Fact, by: str, named_in: str | None) -> str | None:
        if by == "subject":
            return str(fact["subject"])
        if named_in is not None:
            naming = [f for f in self.standing if _is(f, named_in) and f["subject"] == fact["subject"]]
            return self._key(naming[0], by, None) if naming else None
        value = _at(fact["data"], by)
        if isinstance(value, dict):
            value = value["token"] if "token" in value else value["credit_code"]
        return None if value is None else str(value)

    def _amount(self, amount: Amount, fact: Fact) -> int:
        return sum(_at(fact["data"], path) or 0 for path in amount.add) * (-1 if amount.minus else 1)

    def _holding(
        self, selector: Selector, ever: bool = False, anywhere: bool = False
    ) -> list[tuple[Fact, date | None]]:
        """Return the facts meant that are dated in the period up to the day and hold on it, with their last day."""
        holding = []
        for fact, stop in self._spans(selector):
            on = happened_on(fact)
            if not anywhere and fact["district"] not in self.districts:
                continue
            if not _matches(selector, fact) or not (ever or self.first <= on <= self.last) or on > self.day:
                continue
            # What ends after the period does not change the period any more.
            if stop is None or stop > min(self.day, self.last):
                holding.append((fact, stop))
        return holding

    def _spans(self, selector: Selector) -> list[tuple[Fact, date | None]]:
        """Pair every opening of a type with its first day out: C1, C3, E27; an end stays with what it ended: B4."""
        openings = [self._on_its_day(fact, selector) for fact in self.standing if _is(fact, selector.fact)]
        ended: dict[str, Fact] = {}
        if selector.ended_by:
            kind, same = selector.ended_by.fact, selector.ended_by.same
            for end in sorted((fact for fact in self.standing if _is(fact, kind)), key=self._place):
                open_then = [
                    fact
                    for fact in openings
                    if fact["subject"] == end["subject"]
                    and self._place(fact) < self._place(end)
                    and fact["id"] not in ended
                    and (same is None or _at(end["data"], same) == _at(fact["data"], same))
                ]
                if open_then:
                    ended[max(open_then, key=self._place)["id"]] = end
        spans = []
        for fact in openings:
            days = [happened_on(ended[fact["id"]])] if fact["id"] in ended else []
            if selector.until and fact["data"].get(selector.until):
                days.append(date.fromisoformat(fact["data"][selector.until]) + timedelta(days=1))
            if selector.undone_by and any(
                _is(other, selector.undone_by) and other["subject"] == fact["subject"] for other in self.standing
            ):
                continue
            spans.append((fact, min(days) if days else None))
        return spans

    def _on_its_day(self, fact: Fact, selector: Selector) -> Fact:
        if selector.dated:
            return fact | {"dated": fact["data"][selector.dated]}
        for cause in self.standing if selector.dated_in else ():
            same_report = (cause["reportsource"], cause["reportid"]) == (fact["reportsource"], fact["reportid"])
            if _is(cause, selector.dated_in or "") and _log(cause) == _log(fact) and same_report:
                return fact | {"dated": happened_on(cause).isoformat()}
        return fact

    def _place(self, fact: Fact) -> tuple[int, int]:
        """Where it stands in its log: a correction where its original does, unless it was decided again since."""

        def alike(other: Fact, report: str) -> bool:
            return _log(other) == _log(fact) and other["type"] == fact["type"] and other["reportid"] == report

        def again(other: Fact) -> bool:
            return any(
                alike(before, other["reportid"]) and before["position"] < other["position"] for before in self.known
            )

        corrections = [f for f in self.known if alike(f, f["reportid"]) and f.get("corrects") == fact["reportid"]]
        if latest := max((f["position"] for f in corrections if again(f)), default=0):
            return latest, fact["position"]
        originals = [f for f in self.known if alike(f, fact.get("corrects", "")) and f["position"] < fact["position"]]
        if originals and not again(fact):
            original = max(originals, key=lambda f: f["position"])
            waited = any(
                f["type"].endswith(".report-suspended.v1")
                and _log(f) == _log(fact)
                and f["data"]["report_id"] == original["reportid"]
                and original["position"] < f["position"] < fact["position"]
                for f in self.known
            )
            if not waited:
                return self._place(original)[0], fact["position"]
        return fact["position"], fact["position"]

    def _latest(self, selector: Selector) -> dict[str, Fact]:
        """E11: per subject the latest dated in the period up to the day; of one day the later recorded."""
        latest: dict[str, Fact] = {}
        for fact in sorted(self.standing, key=lambda fact: (happened_on(fact), fact["recordedat"])):
            if _is(fact, selector.fact) and self.first <= happened_on(fact) <= min(self.day, self.last):
                latest[fact["subject"]] = fact
        return latest


def _known(facts: list[Fact], known_at: datetime) -> list[Fact]:
    return [fact for fact in facts if datetime.fromisoformat(fact["recordedat"]) <= known_at]


def _log(fact: Fact) -> tuple[str, str]:
    return fact["source"], fact["reportsource"]


def _kind(fact: Fact) -> str:
    return str(fact["type"]).removeprefix("skillplan.").rpartition(".v")[0]


def _is(fact: Fact, kind: str) -> bool:
    return _kind(fact) == kind


def _is_kernel(fact: Fact) -> bool:
    """Tell whether it says of another report that it counts for nothing: a plan names no such type."""
    return _kind(fact).endswith((".report-retracted", ".report-voided", ".report-suspended", ".report-restored"))


def _order(fact: Fact) -> tuple[date, str, str]:
    return happened_on(fact), fact["reportsource"], fact["reportid"]


def _at(data: Any, path: str) -> Any:
    for step in path.split("."):
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _matches(selector: Selector, fact: Fact) -> bool:
    for path, wanted in selector.where.items():
        value = _at(fact["data"], path)
        match wanted:
            case Other():
                values, means_listed = wanted.other_than, False
            case tuple():
                values, means_listed = wanted, True
            case _:
                assert_never(wanted)
        if any(type(value) is type(other) and value == other for other in values) != means_listed:
            return False
    return True
