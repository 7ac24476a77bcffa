"""Model of the plan file: a policy's clauses, indicators, targets, districts and parameters, as data."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self, assert_never

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from shared.plan.parameters import Parameters
from shared.plan.parts import (
    Code,
    CreditCode18,
    District6,
    FactType,
    FieldPath,
    Name,
    Natural,
    OfExpected,
    PlanPart,
    Scalar,
    Text,
    refuse,
)
from shared.plan.witnesses import Witnesses


def _as_list(given: object) -> object:
    return given if isinstance(given, list | tuple) or given is None else [given]


def _some_weight(weights: tuple[int, ...]) -> tuple[int, ...]:
    if not any(weights):
        refuse("至少一个月的权重大于 0", "at least one month with a weight above 0")
    return weights


FieldPaths = Annotated[
    tuple[FieldPath, ...],
    BeforeValidator(_as_list, json_schema_input_type=FieldPath | tuple[FieldPath, ...]),
    Field(min_length=1),
]
Scalars = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(_as_list, json_schema_input_type=Scalar | tuple[Scalar, ...]),
    Field(min_length=1),
]
MonthWeights = Annotated[tuple[Natural, ...], AfterValidator(_some_weight), Field(min_length=12)]


class Period(PlanPart):
    """The first and the last day that count."""

    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            refuse("to 不早于 from", "a last day (to) not before the first (from)")
        return self


class FormerCode(PlanPart):
    """A code that a district had before, and the last day on which reports under it are taken (RULES E28)."""

    code: District6
    until: date


class District(PlanPart):
    """A district by its code; `city` marks the city itself, which has no denominators of its own (RULES E25).

    `formerly`: the codes it had before; their facts count for it in every period (RULES E28).
    """

    code: District6
    name: Name
    city: StrictBool = False
    formerly: tuple[FormerCode, ...] = ()


class ListedCreditCode(PlanPart):
    """A registered credit code that its check character denies, and why it is taken (RULES A24)."""

    code: CreditCode18
    reason: Text


class Other(PlanPart):
    """Anything but these values."""

    other_than: Scalars


class EndedBy(PlanPart):
    """The fact that ends one on the same subject, from its date on; `same`: a field that both must agree in."""

    fact: FactType
    same: FieldPath | None = None


class Selector(PlanPart):
    """Facts of one type whose data matches.

    Their date is that of RULES A1, unless `dated` names a field of theirs, or `dated_in` the fact of the same report
    whose date they carry (a decision's cause, RULES E24).
    """

    fact: FactType
    where: dict[FieldPath, Other | Scalars] = Field({})
    dated: FieldPath | None = None
    dated_in: FactType | None = None
    until: FieldPath | None = None
    ended_by: Annotated[
        EndedBy | None,
        BeforeValidator(
            lambda v: {"fact": v} if isinstance(v, str) else v, json_schema_input_type=EndedBy | FactType | None
        ),
    ] = None
    undone_by: FactType | None = None

    @model_validator(mode="after")
    def _of_one_log(self) -> Self:
        others = (self.ended_by.fact if self.ended_by else None, self.undone_by, self.dated_in)
        if any(other is not None and other.partition(".")[0] != self.fact.partition(".")[0] for other in others):
            refuse(
                "ended_by、undone_by、dated_in 与 fact 属同一服务",
                "ended_by, undone_by and dated_in of the same service as fact",
            )
        return self


class Amount(Selector):
    """Facts that each add the sum of some fields, or take it off."""

    add: FieldPaths
    minus: StrictBool = False


Selectors = Annotated[tuple[Selector, ...], Field(min_length=1)]


class Count(PlanPart):
    """How many subjects: each once a period."""

    kind: Literal["count"]
    of: Selectors


class Distinct(PlanPart):
    """How many different persons (by token), organisations (by credit code), `subject`s or values: each once a period.

    `named_in`: where the facts counted do not carry the field, the fact of the same subject that does.
    """

    kind: Literal["distinct"]
    by: FieldPath
    named_in: FactType | None = None
    of: Selectors


class Sum(PlanPart):
    """The sum of amounts: each fact by itself."""

    kind: Literal["sum"]
    of: Annotated[tuple[Amount, ...], Field(min_length=1)]


class Latest(PlanPart):
    """What the latest fact of each subject says; `where` is asked of that one. Without `add` it counts 1.

    `each_district`: the whole is not computable while a district, the city itself aside, has none (RULES E10).
    """

    kind: Literal["latest"]
    of: Selector
    by: FieldPath | None = None
    add: Annotated[
        tuple[FieldPath, ...], BeforeValidator(_as_list, json_schema_input_type=FieldPath | tuple[FieldPath, ...])
    ] = ()
    each_district: StrictBool = False

    @model_validator(mode="after")
    def _plain(self) -> Self:
        if self.of.ended_by or self.of.undone_by or self.of.until or self.of.dated_in:
            refuse(
                "latest 的事实没有 until、ended_by、undone_by、dated_in",
                "no until, ended_by, undone_by or dated_in: a later one replaces it",
            )
        return self


class Milestone(PlanPart):
    """One thing to be reached once."""

    name: Name
    of: Selectors


class Milestones(PlanPart):
    """How many of the listed things have been reached."""

    kind: Literal["milestones"]
    each: Annotated[tuple[Milestone, ...], Field(min_length=1)]


Part = Annotated[Count | Distinct | Sum | Latest, Field(discriminator="kind")]


class Ratio(PlanPart):
    """The sum of numerators over the sum of denominators, times the factor."""

    kind: Literal["share", "density"]
    factor: Annotated[StrictInt, Field(gt=0)]
    numerator: Part
    denominator: Part


class Covering(PlanPart):
    """What covers a member of a register, found by `by`: while it holds; `since_registered`: begun since then."""

    by: FieldPath
    since_registered: StrictBool = False
    of: Selectors


class Coverage(PlanPart):
    """How many members of a register are covered; both count in the district where the member is registered."""

    kind: Literal["coverage"]
    factor: Annotated[StrictInt, Field(gt=0)]
    registered: Annotated[Distinct | Latest, Field(alias="register", discriminator="kind")]
    covered: Covering

    @model_validator(mode="after")
    def _register_is_keyed(self) -> Self:
        if self.registered.by is None:
            refuse("register 中须有 by", "register needs by: what the covering facts find it by")
        if isinstance(self.registered, Distinct) and self.registered.named_in:
            refuse("register 中没有 named_in", "no named_in in a register")
        if isinstance(self.registered, Latest) and self.registered.add:
            refuse("register 的每个成员计 1,不用 add", "no add: each member of a register counts 1")
        return self


Value = Annotated[Count | Distinct | Sum | Latest | Milestones | Ratio | Coverage, Field(discriminator="kind")]


# As in the reports that revise one; with more digits it is a slip, and no answer could carry it.
Quantity = Annotated[Decimal, Field(ge=0, le=10**15)]


class Target(PlanPart):
    """What is to be reached; `baseline` is where a level started from."""

    op: Literal[">=", ">", "=", "range", "all"]
    value: Quantity | None = None
    upper: Quantity | None = None
    baseline: Quantity | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.value is None) != (self.op == "all"):
            refuse("除 all 外都要有 value;all 没有", "a value, except for op all, which has none")
        if (self.upper is None) == (self.op == "range"):
            refuse("op 为 range 时要有 upper,其他没有", "an upper value for op range and for no other")
        if self.upper is not None and self.value is not None and self.upper < self.value:
            refuse("upper 不小于 value", "an upper value that is not below value")
        return self


class Indicator(PlanPart):
    """One number of the plan."""

    id: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[a-z]$")]
    name: Name
    unit: Text
    basis: Literal["annual", "cumulative", "level"]
    value: Value
    target: Target | None = None
    district_targets: dict[District6, Target] = Field({})
    month_weights: MonthWeights | None = None
    note: Name | None = None

    @property
    def factor(self) -> int:
        """What a numerator over its denominator is multiplied by; 1 where there is none."""
        match self.value:
            case Ratio() | Coverage():
                return self.value.factor
            case Count() | Distinct() | Sum() | Latest() | Milestones():
                return 1
            case _:
                assert_never(self.value)

    @property
    def is_ratio(self) -> bool:
        """Whether the value is a numerator over a denominator."""
        match self.value:
            case Ratio() | Coverage():
                return True
            case Count() | Distinct() | Sum() | Latest() | Milestones():
                return False
            case _:
                assert_never(self.value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for target in (self.target, *self.district_targets.values()):
            if target is not None and target.op == "all" and not isinstance(self.value, Milestones):
                refuse("op all 只用于 kind: milestones", "op all only with kind milestones")
        if self.is_ratio and self.basis != "level" and isinstance(self.value, Coverage):
            refuse("coverage 是 level", "basis level for a coverage")
        return self


class Measure(PlanPart):
    """A numbered measure: its clause word for word, and who leads it."""

    id: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    name: Name
    text: Text
    lead: Annotated[tuple[Code, ...], Field(min_length=1)]
    indicators: Annotated[tuple[Indicator, ...], Field(min_length=1)]


class Series(PlanPart):
    """A chapter of the policy."""

    id: Annotated[str, Field(pattern=r"^[0-9]+$")]
    name: Name
    text: Text
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)]


class Pace(PlanPart):
    """Which share of what was expected is green, which amber, and how many full months a forecast looks at."""

    green_percent: OfExpected = 100
    amber_percent: OfExpected = 80
    forecast_months: Annotated[StrictInt, Field(ge=2, le=36)] = 6

    @model_validator(mode="after")
    def _amber_below_green(self) -> Self:
        if self.amber_percent > self.green_percent:
            refuse("amber_percent 不大于 green_percent", "an amber_percent that is not above green_percent")
        return self


class Plan(PlanPart):
    """A policy as data; `issuer`: the one of `bodies` that signs what is issued on it."""

    id: Code
    title: Name
    document_no: Text
    city: Name
    issuer: Code | None = None
    period: Period
    districts: Annotated[tuple[District, ...], Field(min_length=1)]
    bodies: dict[Code, Name]
    units: dict[str, Name]
    month_weights: MonthWeights = (1,) * 12
    pace: Pace = Pace()
    parameters: Parameters
    credit_codes: tuple[ListedCreditCode, ...] = ()
    witnesses: Witnesses | None = None
    series: Annotated[tuple[Series, ...], Field(min_length=1)]

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """All measures in the policy's order."""
        return tuple(measure for series in self.series for measure in series.measures)

    @cached_property
    def indicators(self) -> Mapping[str, tuple[Measure, Indicator]]:
        """Every indicator with its measure, by id, in the policy's order."""
        return {indicator.id: (measure, indicator) for measure in self.measures for indicator in measure.indicators}

    @cached_property
    def district_codes(self) -> frozenset[str]:
        """The codes whose facts count."""
        return frozenset(district.code for district in self.districts)

    @cached_property
    def former_codes(self) -> Mapping[str, date]:
        """The codes that districts had before, each with the last day on which reports under it are taken."""
        return {former.code: former.until for district in self.districts for former in district.formerly}

    @cached_property
    def successors(self) -> Mapping[str, str]:
        """The district that the facts of each former code count for (RULES E28)."""
        return {former.code: district.code for district in self.districts for former in district.formerly}

    def covers(self, code: str) -> bool:
        """Tell whether a code is that of a district, or was."""
        return code in self.district_codes or code in self.successors

    @cached_property
    def years(self) -> tuple[int, ...]:
        """The calendar years that the period touches."""
        return tuple(range(self.period.first.year, self.period.last.year + 1))

    @cached_property
    def digest(self) -> str:
        """A fingerprint of all that the plan says; one from before there were issuers keeps its own."""
        unsaid = None if self.issuer else {"issuer"}
        return hashlib.sha256(self.model_dump_json(by_alias=True, exclude=unsaid).encode()).hexdigest()


def districts_by_waiting_days(plans: Iterable[Plan]) -> dict[int, list[str]]:
    """Return the districts by the days that their reports wait: those of their own plan (RULES D13).

    A district that several plans have waits as long as the longest of them says.
    """
    days: dict[str, int] = {}
    for plan in plans:
        for code in (*plan.district_codes, *plan.former_codes):
            days[code] = max(days.get(code, 0), plan.parameters.waiting.days)
    districts: dict[int, list[str]] = {}
    for code in sorted(days):
        districts.setdefault(days[code], []).append(code)
    return districts


def former_codes(plans: Iterable[Plan]) -> dict[str, date]:
    """Return the codes that districts had before, with the latest day on which a plan takes reports under each."""
    codes: dict[str, date] = {}
    for plan in plans:
        for code, until in plan.former_codes.items():
            codes[code] = max(codes.get(code, date.min), until)
    return codes


def successors(plans: Iterable[Plan]) -> dict[str, str]:
    """Return the district that each former code is of today, by any of the plans."""
    return {former: code for plan in plans for former, code in plan.successors.items()}
