"""A plain recount of every number from all facts, written apart from the projection: VOCABULARY 4 and RULES E, no more.

Plain on purpose: it knows no ledger, no batches, no order of arrival, and selects facts by the words of the plan file
alone. A fact is its CloudEvents envelope as a dict.
"""

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
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
    taken_back = {(_log(fact), fact["data"]["report_id"]) for fact in known if _says(fact, "retracted")}
    voided, suspended, restored, corrections = (defaultdict[Any, list[Any]](list) for _ in range(4))
    for fact in known:
        if _says(fact, "voided"):
            voided[(fact["source"], fact["data"]["source"]), fact["data"]["report_id"]].append(fact["position"])
        elif _says(fact, "suspended"):
            suspended[_log(fact), fact["data"]["report_id"]].append(fact["position"])
        elif _says(fact, "restored"):
            restored[_log(fact), fact["reportid"]].append(fact["position"])
        if "corrects" in fact:
            corrections[_log(fact), fact["corrects"]].append(fact)

    def retracted(fact: Fact) -> bool:
        """RULES G4: voided, too, unless it was restored since."""
        report = _log(fact), fact["reportid"]
        return report in taken_back or any(
            not any(back > position for back in restored[report]) for position in voided[report]
        )

    def stands(fact: Fact) -> bool:
        report = _log(fact), fact["reportid"]
        return not (
            retracted(fact)
            or any(position > fact["position"] for position in suspended[report])
            or any(not retracted(other) for other in corrections[report])
        )

    return [fact for fact in known if stands(fact)]


class _Recount:
    """One indicator on one day, over the facts that stand."""

    def __init__(
        self, plan: Plan, indicator: Indicator, period: str, day: date, facts: list[Fact], known_at: datetime
    ) -> None:
        self.reported = defaultdict[Any, list[Fact]](list)
        self.suspensions = defaultdict[Any, list[int]](list)
        for fact in _known(facts, known_at):
            self.reported[_log(fact), fact["type"], fact["reportid"]].append(fact)
            if _says(fact, "suspended"):
                self.suspensions[_log(fact), fact["data"]["report_id"]].append(fact["position"])
        self.of_kind = defaultdict[str, list[Fact]](list)
        for fact in standing_at(facts, known_at):
            self.of_kind[_kind(fact)].append(fact)
        self.places: dict[str, tuple[int, int]] = {}
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
        covering = defaultdict[str | None, list[Fact]](list)
        for selector in value.covered.of:
            for fact, _ in self._holding(selector, ever=True, anywhere=True):
                covering[self._key(fact, value.covered.by, None)].append(fact)
        registered = []
        for key, facts in members.items():
            member = min(facts, key=_order)
            covered = any(
                not value.covered.since_registered or happened_on(fact) >= happened_on(member) for fact in covering[key]
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
            naming = [f for f in self.of_kind[named_in] if f["subject"] == fact["subject"]]
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
        openings = [self._on_its_day(fact, selector) for fact in self.of_kind[selector.fact]]
        ended: dict[str, Fact] = {}
        if selector.ended_by:
            kind, same = selector.ended_by.fact, selector.ended_by.same
            for end in sorted(self.of_kind[kind], key=self._place):
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
                other["subject"] == fact["subject"] for other in self.of_kind[selector.undone_by]
            ):
                continue
            spans.append((fact, min(days) if days else None))
        return spans

    def _on_its_day(self, fact: Fact, selector: Selector) -> Fact:
        if selector.dated:
            return fact | {"dated": fact["data"][selector.dated]}
        for cause in self.of_kind[selector.dated_in] if selector.dated_in else ():
            if _log(cause) == _log(fact) and cause["reportid"] == fact["reportid"]:
                return fact | {"dated": happened_on(cause).isoformat()}
        return fact

    def _place(self, fact: Fact) -> tuple[int, int]:
        """Where it stands in its log: a correction where its original does, unless it was decided again since."""
        if fact["id"] not in self.places:
            self.places[fact["id"]] = self._place_anew(fact)
        return self.places[fact["id"]]

    def _place_anew(self, fact: Fact) -> tuple[int, int]:
        def alike(report: str) -> list[Fact]:
            return self.reported[_log(fact), fact["type"], report]

        def again(other: Fact) -> bool:
            return any(before["position"] < other["position"] for before in alike(other["reportid"]))

        corrections = [f for f in alike(fact["reportid"]) if f.get("corrects") == fact["reportid"]]
        if latest := max((f["position"] for f in corrections if again(f)), default=0):
            return latest, fact["position"]
        originals = [f for f in alike(fact.get("corrects", "")) if f["position"] < fact["position"]]
        if originals and not again(fact):
            original = max(originals, key=lambda f: f["position"])
            suspensions = self.suspensions[_log(fact), original["reportid"]]
            if not any(original["position"] < position < fact["position"] for position in suspensions):
                return self._place(original)[0], fact["position"]
        return fact["position"], fact["position"]

    def _latest(self, selector: Selector) -> dict[str, Fact]:
        """E11: per subject the latest dated in the period up to the day; of one day the later recorded."""
        latest: dict[str, Fact] = {}
        for fact in sorted(self.of_kind[selector.fact], key=lambda fact: (happened_on(fact), fact["recordedat"])):
            if self.first <= happened_on(fact) <= min(self.day, self.last):
                latest[fact["subject"]] = fact
        return latest


def _known(facts: list[Fact], known_at: datetime) -> list[Fact]:
    return [fact for fact in facts if datetime.fromisoformat(fact["recordedat"]) <= known_at]


def _log(fact: Fact) -> tuple[str, str]:
    return fact["source"], fact["reportsource"]


def _kind(fact: Fact) -> str:
    return _kind_of(fact["type"])


@cache
def _kind_of(type_: str) -> str:
    return type_.removeprefix("skillplan.").rpartition(".v")[0]


def _is_kernel(fact: Fact) -> bool:
    """Tell whether it says of another report that it counts for nothing: a plan names no such type."""
    return _kind(fact).endswith((".report-retracted", ".report-voided", ".report-suspended", ".report-restored"))


def _says(fact: Fact, word: str) -> bool:
    return _kind(fact).endswith(f".report-{word}")


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
