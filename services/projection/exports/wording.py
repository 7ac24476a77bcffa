"""The numbers and sentences of the monthly briefing as people read them, in either language."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from services.projection.assessment.pace import Op, Signal
from services.projection.assessment.representation import DistrictStanding, TargetValue
from services.projection.exports import names
from services.projection.exports.document import Briefing, BriefingIndicator, BriefingMeasure
from services.projection.exports.texts import Language, text
from shared.contract.events import LOCAL_TIME

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SIGNALS: Final[tuple[Signal, ...]] = ("met", "green", "amber", "red", "none")
# A signal is written out beside its colour: paper is often grey.
COLOURS: Final[Mapping[Signal, str]] = {
    "met": "#d6e6fb",
    "green": "#d9f0dd",
    "amber": "#fdebc2",
    "red": "#f9d3cf",
    "none": "#eeeeee",
}
OPS: Final[Mapping[Op, str]] = {">=": "≥ ", ">": "> ", "=": "= ", "range": "", "all": ""}
DASH: Final = "–"
_FEN: Final = 100
_TENTH: Final = Decimal("0.1")
_HUNDREDTH: Final = Decimal("0.01")
_WHOLE: Final = Decimal(100)
_ALMOST: Final = Decimal("99.9")
_MOST_WORST: Final = 3
_BEST_FIRST: Final[tuple[Signal, ...]] = ("met", "green", "amber", "red", "none")


def amount(value: float | None, unit: str, signed: bool = False) -> str:
    """Return a number as people read it: thousands parted, two decimals at most, fen as yuan."""
    number = rounded(value, unit)
    return DASH if number is None else _text(number, unit, signed)


def rounded(value: float | None, unit: str) -> Decimal | None:
    """Return a number in the unit that people read, with two decimals at most."""
    return None if value is None else _rounded(value, unit, ROUND_HALF_UP)


def achieved(value: float | None, unit: str, met: bool | None, target: TargetValue | None = None) -> Decimal | None:
    """Return a value in the unit that people read, with two decimals at most.

    While its target is not met it is rounded towards "not yet" (RULES E29): never to the target's own figure.
    """
    if value is None:
        return None
    above = target is not None and target["op"] == "=" and value > target["value"]
    return _rounded(value, unit, ROUND_HALF_UP if met is not False else ROUND_CEILING if above else ROUND_FLOOR)


def achieved_text(value: float | None, unit: str, met: bool | None, target: TargetValue | None = None) -> str:
    """Return a value as `achieved` rounds it, as text."""
    number = achieved(value, unit, met, target)
    return DASH if number is None else _text(number, unit)


def progress(row: BriefingIndicator) -> Decimal | None:
    """Return the progress in percent with one decimal; never 100 while the target is not met (RULES E29)."""
    if row["progress"] is None:
        return None
    share = Decimal(repr(row["progress"])) * 100
    if row["met"] is not False:
        return share.quantize(_TENTH, ROUND_HALF_UP)
    return (
        min(share, _ALMOST).quantize(_TENTH, ROUND_FLOOR) if share <= _WHOLE else share.quantize(_TENTH, ROUND_CEILING)
    )


def exact(value: float, unit: str) -> Decimal:
    """Return a figure of the plan in the unit that people read, with all its digits."""
    return _in_unit(value, unit).quantize(_HUNDREDTH) if unit == "fen" else _in_unit(value, unit)


def _in_unit(value: float, unit: str) -> Decimal:
    return Decimal(repr(value)) / (_FEN if unit == "fen" else 1)


def _rounded(value: float, unit: str, rounding: str) -> Decimal:
    return _in_unit(value, unit).quantize(_HUNDREDTH, rounding)


def _text(number: Decimal, unit: str, signed: bool = False) -> str:
    sign = "+" if signed and number else ""
    if unit != "fen" and number == number.to_integral_value():
        return f"{int(number):{sign},d}"
    return f"{number:{sign},f}"


def unit_name(briefing: Briefing, unit: str, language: Language) -> str:
    """Return the name of a unit; fen are shown as yuan."""
    return names.unit_name(briefing["units"], unit, language)


def goal(row: BriefingIndicator, language: Language) -> str:
    """Return a row's target with its comparator."""
    return text("monitored", language) if row["target"] is None else target_text(row["target"], row["unit"])


def signal_name(row: BriefingIndicator, language: Language) -> str:
    """Return a row's signal; a target that cannot be judged yet is not said to be none."""
    return text("not-judged" if row["signal"] == "none" and row["target"] else row["signal"], language)


def expected(row: BriefingIndicator) -> Decimal | None:
    """Return what was to be there by now in the unit that people read: of what is counted the next whole one."""
    if row["expected"] is None:
        return None
    if row["denominator"] is None and row["unit"] != "fen":
        return Decimal(repr(row["expected"])).quantize(_HUNDREDTH).to_integral_value(ROUND_CEILING)
    return rounded(row["expected"], row["unit"])


def expected_text(row: BriefingIndicator) -> str:
    """Return what was to be there by now, as text."""
    number = expected(row)
    return DASH if number is None else _text(number, row["unit"])


def value_text(row: BriefingIndicator, language: Language) -> str:
    """Return a row's value, or that there is none."""
    if row["value"] is None:
        return text("no-value", language)
    return achieved_text(row["value"], row["unit"], row["met"], row["target"])


def target_text(target: TargetValue, unit: str) -> str:
    """Return a target with its comparator."""
    least = _text(exact(target["value"], unit), unit)
    if target["op"] == "range":
        return f"{least}–{DASH if target['upper'] is None else _text(exact(target['upper'], unit), unit)}"
    return f"{OPS[target['op']]}{least}" + (f"/{least}" if target["op"] == "all" else "")


def outlook(row: BriefingIndicator, language: Language) -> str:
    """Return the forecast with its range; where there is none, why."""
    forecast, unit = row["forecast"], row["unit"]
    if forecast["value"] is None or forecast["low"] is None or forecast["high"] is None:
        return forecast["outlook"][language]
    value, low, high = (amount(number, unit) for number in (forecast["value"], forecast["low"], forecast["high"]))
    return value if low == high else f"{value} ({low}–{high})"


def local(instant: str) -> str:
    """Return an instant of JSON as people here read it, in Beijing time."""
    return f"{datetime.fromisoformat(instant).astimezone(LOCAL_TIME):%Y-%m-%d %H:%M:%S}"


def _day(day: str, language: Language) -> str:
    """Return a date of JSON as a letter writes it."""
    on = date.fromisoformat(day)
    if language == "zh":
        return f"{on.year} 年 {on.month} 月 {on.day} 日"
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def _moment(instant: str, language: Language) -> str:
    """Return an instant of JSON as a letter writes it, in Beijing time."""
    at = local(instant)
    return f"{_day(at[:10], language)} {at[11:]}"


def rows_of(briefing: Briefing) -> Iterator[BriefingIndicator]:
    """Yield the indicators, in the policy's order."""
    for series in briefing["series"]:
        for measure in series["measures"]:
            yield from measure["indicators"]


def note_rows(briefing: Briefing, language: Language) -> list[tuple[str, str, str, str, str]]:
    """Return each note as people read it: indicator, district, cause, next step, by whom and when."""
    names = {row["id"]: f"{row['id']} {row['name'][language]}" for row in rows_of(briefing)}
    places = {district["code"]: district["name"][language] for district in briefing["districts"]}
    return [
        (
            names[note["indicator"]],
            places[note["district"]] if note["district"] else text("whole", language),
            note["cause"],
            note["next_step"],
            f"{note['by']} {local(note['recorded_at'])[:10]}",
        )
        for note in briefing["notes"]
    ]


def without_note(briefing: Briefing, language: Language) -> str:
    """Return which indicators are red and have no note of the briefing's own cell since they turned; empty: none."""
    noted = {
        note["indicator"]: local(note["recorded_at"])[:10]
        for note in briefing["notes"]
        if note["district"] == briefing["district"]
    }
    red = [row for row in rows_of(briefing) if row["red_since"] and noted.get(row["id"], "") < row["red_since"]]
    if not red:
        return ""
    names = ("、" if language == "zh" else ", ").join(f"{row['id']} {row['name'][language]}" for row in red)
    return text("without-note", language).format(list=names)


def date_of(briefing: Briefing, language: Language) -> str:
    """Return the date of the document: when the figures were published, or that as of which they are known."""
    published = briefing["published"]
    day = _day(local(published["recorded_at"] if published else briefing["known_at"])[:10], language)
    return day.replace(" ", "") if language == "zh" else day


def leading(measure: BriefingMeasure, language: Language) -> str:
    """Return who leads a measure; empty where its clause, which is in Chinese, says so itself."""
    lead = text("lead", language)
    if language == "zh":
        return "" if lead in measure["text"] else f"{lead}:{'、'.join(body['zh'] for body in measure['lead'])}"
    return f"{lead}: {'; '.join(body['en'] for body in measure['lead'])}"


def freshness(briefing: Briefing, language: Language) -> str:
    """Return what is not in these numbers yet; empty when all is."""
    behind = [log["behind_events"] for log in briefing["complete_to"].values()]
    if None in behind:
        return text("unknown", language)
    count = sum(filter(None, behind))
    return text("behind", language).format(count=count) if count else ""


def title(briefing: Briefing, language: Language) -> str:
    """Return the briefing's own title: for whom and which month."""
    name = " " if language == "en" else ""
    return f"{place(briefing, language)} {month_name(briefing, language)}{name}{text('title', language)}"


def running_head(briefing: Briefing, language: Language) -> str:
    """Return what stands at the head of every sheet of paper: plan, district, day and instant."""
    return " · ".join((briefing["title"][language], place(briefing, language), about(briefing, language)))


def place(briefing: Briefing, language: Language) -> str:
    """Return for whom it is: the whole city, or one district."""
    names = {district["code"]: district["name"][language] for district in briefing["districts"]}
    return names[briefing["district"]] if briefing["district"] else text("whole", language)


def month_name(briefing: Briefing, language: Language) -> str:
    """Return the name of the month."""
    year, month = map(int, briefing["month"].split("-"))
    return f"{year} 年 {month} 月" if language == "zh" else briefing["month"]


def about(briefing: Briefing, language: Language) -> str:
    """Return for which day and by what knowledge the numbers are, whether they are made up, and what is not in yet."""
    known_at = _moment(briefing["known_at"], language)
    scope = text("as_of", language).format(as_of=_day(briefing["as_of"], language), known_at=known_at)
    day = briefing["example_day"]
    example = text("example", language).format(day=_day(day, language)) if day else ""
    return " ".join(filter(None, (example, scope, freshness(briefing, language))))


def publication(briefing: Briefing, language: Language) -> str:
    """Return whether these are the published figures of the month, and who published them when."""
    published, month = briefing["published"], month_name(briefing, language)
    if published is None:
        return text("not-published", language).format(month=month)
    number = published["number"]
    again = text("again", language).format(number=number) if number > 1 else ""
    at = _moment(published["recorded_at"], language)
    return text("published", language).format(month=month, at=at, by=published["by"], again=again)


def code_title(briefing: Briefing, language: Language) -> str:
    """Return what is read aloud of the QR code of published figures."""
    return text("code", language).format(month=month_name(briefing, language))


def conclusion(briefing: Briefing, language: Language) -> list[str]:
    """Return in sentences how the targets stand, what the month changed, and which are the furthest behind."""
    rows = list(rows_of(briefing))
    sentences = []
    standing = next((each for each in briefing["standings"] if each["code"] == briefing["district"]), None)
    if standing is None or any(standing["signals"].values()) or not standing["unsplit"]:
        sentences.append(_counted([row["signal"] for row in rows if row["target"]], language))
    if standing is not None:
        sentences.append(f"{place(briefing, language)}:{own_targets(standing, language)}。" if language == "zh" else
                         f"{place(briefing, language)}: {own_targets(standing, language)}.")  # fmt: skip
        if standing["indicative"]:
            sentences.append(f"{text('indicative', language)}:{by_share(standing, language)}。" if language == "zh" else
                             f"{text('indicative', language)}: {by_share(standing, language)}.")  # fmt: skip
    turned = [row for row in rows if row["id"] in briefing["turned"] and row["before"]]
    better = sum(_BEST_FIRST.index(row["signal"]) < _BEST_FIRST.index(_before(row)) for row in turned)
    sentences.append(
        text("changes", language).format(
            moved=sum(bool(row["change"]) for row in rows), better=better, worse=len(turned) - better
        )
    )
    by_id = {row["id"]: row for row in rows}
    if worst := [_worst(by_id[each], language) for each in briefing["late"][:_MOST_WORST]]:
        sentences.append(text("worst", language).format(list=(";" if language == "zh" else "; ").join(worst)))
    return sentences


def _before(row: BriefingIndicator) -> Signal:
    return row["before"]["signal"] if row["before"] else "none"


def _counted(signals: Sequence[Signal], language: Language) -> str:
    counts = {signal: signals.count(signal) for signal in SIGNALS}
    none = text("counts-none", language).format(count=counts["none"]) if counts["none"] else ""
    return text("counts", language).format(all=len(signals), **(counts | {"none": none}))


def _worst(row: BriefingIndicator, language: Language) -> str:
    unit = row["unit"]
    return text("worst-row", language).format(
        name=f"{row['id']} {row['name'][language]}",
        period=period(row, language),
        value=achieved_text(row["value"], unit, row["met"], row["target"]),
        expected=expected_text(row),
    )


def own_targets(standing: DistrictStanding, language: Language) -> str:
    """Return how a district stands by its own targets; without any, that the whole's are not split to it."""
    signals = standing["signals"]
    if standing["city"]:
        return text("of-city", language)
    if not any(signals.values()):
        return text("no-own", language) if standing["unsplit"] else DASH
    return text("own", language).format(all=sum(signals[signal] for signal in SIGNALS), **signals)


def by_share(standing: DistrictStanding, language: Language) -> str:
    """Return in how many indicators a district is below its indicative share."""
    if not standing["indicative"]:
        return DASH
    return text("by-share", language).format(all=standing["indicative"], below=standing["below"])


def share_note(briefing: Briefing, language: Language) -> str:
    """Return by what indicative shares are made, and what they are not; empty where there are none."""
    if not any(standing["indicative"] for standing in briefing["standings"]):
        return ""
    by = briefing["shared_by"]
    text_by = text(f"by-{by['by']}", language).format(indicator=by["indicator"])
    return text("share-note", language).format(by=text_by)


def period(row: BriefingIndicator, language: Language) -> str:
    """Return the name of a row's period."""
    if row["period"] == "plan":
        return text("plan", language)
    return f"{row['period']} 年" if language == "zh" else row["period"]
