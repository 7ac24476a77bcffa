"""A plan file says what it may, and every fault in it is named by line, path and what was expected."""

import re
from datetime import date
from pathlib import Path

import pytest

from shared.plan.districts import district_codes
from shared.plan.loading import PlanError, load_plan, load_plans, read_plan
from shared.plan.model import districts_by_waiting_days, former_codes
from shared.plan.parameters import Waiting

ROOT = Path(__file__).parents[2]
FILE = ROOT / "plans" / "shaoxing-2023-2025.yaml"
POLICY = (ROOT / "plans" / "shaoxing-2023-48.txt").read_text(encoding="utf-8")
OTHER = ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml"
PLAN = load_plan(FILE)


def test_the_plan_has_the_five_series_and_the_twenty_measures() -> None:
    assert [series.id for series in PLAN.series] == ["1", "2", "3", "4", "5"]
    assert [len(series.measures) for series in PLAN.series] == [4, 4, 4, 4, 4]
    assert all(measure.indicators for measure in PLAN.measures)


@pytest.mark.parametrize("measure", PLAN.measures, ids=lambda measure: measure.id)
def test_each_clause_stands_in_the_policy_word_for_word(measure: object) -> None:
    text: str = measure.text  # type: ignore[attr-defined]
    assert text in POLICY
    assert "责任单位" in text


@pytest.mark.parametrize("measure", PLAN.measures, ids=lambda measure: measure.id)
def test_each_measure_is_led_by_those_its_clause_names(measure: object) -> None:
    named = re.split("责任单位[:\uff1a]", measure.text)[1].rstrip(")\uff09。")  # type: ignore[attr-defined]
    leads = [PLAN.bodies[body].zh for body in measure.lead]  # type: ignore[attr-defined]
    assert sorted("、".join(leads).split("、")) == sorted(re.split("[、,\uff0c]", named))


TARGETS = {
    "1.1.a": (">=", 4, "cumulative"), "1.1.b": (">=", 6, "cumulative"), "1.1.c": (">=", 5, "cumulative"),
    "1.1.d": (">=", 2, "cumulative"), "1.1.e": (">=", 35, "level"), "1.2.a": (">=", 300, "annual"),
    "1.2.b": ("all", 4, "cumulative"), "1.3.a": (">=", 3000, "annual"), "1.3.b": (">", 2000, "annual"),
    "2.1.a": (">=", 1, "cumulative"), "2.3.a": ("range", 2, "cumulative"), "2.3.b": (">=", 200, "annual"),
    "2.4.a": (">=", 1000, "annual"), "2.4.b": (">=", 1000, "annual"), "2.4.c": (">=", 27, "level"),
    "2.4.d": (">=", 85, "level"), "2.4.f": ("all", 2, "cumulative"), "3.1.a": ("all", 8, "cumulative"),
    "3.2.a": (">=", 200, "cumulative"), "3.2.b": (">=", 85, "level"), "3.3.a": (">=", 100, "annual"),
    "3.3.b": (">=", 100, "annual"), "4.1.a": (">=", 30, "annual"), "4.1.b": (">=", 1000, "annual"),
    "4.2.a": (">", 100, "cumulative"), "4.2.b": (">", 1000, "cumulative"), "4.4.a": (">", 100, "annual"),
    "5.2.a": ("=", 100, "level"), "5.2.b": (">", 30, "level"), "5.3.a": (">=", 1, "cumulative"),
}  # fmt: skip
MONITORED = {
    "1.1.z": "cumulative", "1.2.z": "cumulative", "1.4.a": "level", "1.4.b": "cumulative", "1.4.c": "cumulative",
    "2.2.a": "cumulative", "2.2.b": "cumulative", "2.4.e": "level", "2.4.g": "cumulative", "3.1.b": "cumulative",
    "3.3.c": "level", "3.4.a": "cumulative", "4.2.c": "cumulative", "4.3.a": "cumulative", "4.3.b": "cumulative",
    "4.4.z": "cumulative", "5.1.a": "cumulative", "5.1.b": "cumulative", "5.2.z": "cumulative", "5.3.b": "cumulative",
    "5.3.z": "cumulative", "5.4.a": "cumulative", "5.4.b": "cumulative",
}  # fmt: skip


def test_every_indicator_of_the_policy_has_its_target() -> None:
    targets = {}
    for id_, (_, indicator) in PLAN.indicators.items():
        if (target := indicator.target) is not None:
            goal = target.value if target.value is not None else len(indicator.value.each)  # type: ignore[union-attr]
            targets[id_] = (target.op, goal, indicator.basis)
    assert targets == TARGETS


def test_every_other_indicator_is_monitored() -> None:
    assert {id_: i.basis for id_, (_, i) in PLAN.indicators.items() if i.target is None} == MONITORED


def test_the_share_has_its_baseline_and_the_range_its_upper_bound() -> None:
    share, bases = PLAN.indicators["1.1.e"][1].target, PLAN.indicators["2.3.a"][1].target
    assert share is not None
    assert share.baseline == 14
    assert bases is not None
    assert bases.upper == 3


def test_parameters_come_with_their_clause() -> None:
    parameters = PLAN.parameters
    assert (parameters.training_subsidy.industry_percent, parameters.training_subsidy.shortage_percent) == (30, 50)
    assert parameters.training_subsidy.clause == "2.2"
    assert parameters.credit_line.cap_fen == 150_000_000
    assert parameters.post_allowance.monthly_fen == {"2": 50_000, "1": 80_000, "special": 80_000, "chief": 80_000}
    assert parameters.waiting.days == 30


def test_reports_wait_as_long_as_the_plan_of_their_district_says() -> None:
    other = load_plan(OTHER)
    assert other.parameters.waiting.days == 10
    expected = {30: sorted(PLAN.district_codes), 10: sorted(other.district_codes - PLAN.district_codes)}
    for plans in ([PLAN, other], [other, PLAN]):
        assert districts_by_waiting_days(plans) == expected
    longer = other.parameters.model_copy(update={"waiting": Waiting(clause=None, days=45)})
    successor = PLAN.model_copy(update={"id": "successor", "parameters": longer})
    assert districts_by_waiting_days([PLAN, successor, other]) == {45: expected[30], 10: expected[10]}


TEXT = OTHER.read_text(encoding="utf-8")


def faults(changed: str) -> list[str]:
    assert changed != TEXT
    with pytest.raises(PlanError) as error:
        read_plan(changed, "plan.yaml")
    return str(error.value).splitlines()


def changed_line(changed: str) -> int:
    pairs = zip(TEXT.splitlines(), changed.splitlines(), strict=False)
    return next(number for number, (old, new) in enumerate(pairs, 1) if old != new)


# Where a fault is seen on the whole, what the line it names begins with.
BELONGS = {
    "document_no": "id: lakeside",
    "series[0].measures[0].indicators[1]": "id: 1.1.b",
    "series[0].measures[0].indicators[2].value": "value:",
}

FAULTS = [
    # what is written, what is written instead, path, what was expected
    ('en: West Lake}}', 'en: West Lake}, formerly: [{code: "110101", until: 2024-12-31}]}',
     "districts[2].formerly[0].code", "nowhere else under districts"),
    ('en: West Lake}}', 'en: West Lake}, formerly: [{code: "330682"}]}',
     "districts[2].formerly[0].until", "this key"),
    ("bodies:\n", "credit_codes: [{code: 91, reason: x}]\nbodies:\n", "credit_codes[0].code", "put a number in quotes"),
    ("bodies:\n", 'credit_codes: [{code: "91330602MA2DEM0XIO", reason: 登记如此}]\nbodies:\n',
     "credit_codes[0].code", "text of the form"),
    ('id: "1.1"', "id: 1.1", "series[0].measures[0].id", "put a number in quotes"),
    ("unit: person", "unit: persno", "series[0].measures[0].indicators[0].unit", "one of those under units"),
    ("kind: milestones", "kind: milestone", "series[0].measures[0].indicators[2].value", "a kind among"),
    ("basis: annual", "basis: yearly", "series[0].measures[0].indicators[0].basis", "'annual'"),
    ("by: person", "bye: person", "series[0].measures[0].indicators[0].value.bye", "did you mean by?"),
    ("to: 2026-01-31", "to: 2023-01-31", "period", "not before the first"),
    ("from: 2024-02-01", "from: soon", "period.from", "a date YYYY-MM-DD"),
    ('"110101": {op: ">=", value: 2}', '"110102": {op: ">=", value: 2}',
     "series[0].measures[0].indicators[0].district_targets.110102", "a district of this file"),
    ("{op: all}", "{op: all, value: 3}", "series[0].measures[0].indicators[2].target", "except for op all"),
    ('{op: ">", value: 12.5, baseline: 2}', "{op: range, value: 12.5}",
     "series[0].measures[0].indicators[1].target", "an upper value"),
    ('{op: ">", value: 12.5, baseline: 2}', '{op: ">", value: many}',
     "series[0].measures[0].indicators[1].target.value", "a number"),
    ("value: 12.5", "value: .nan", "series[0].measures[0].indicators[1].target.value", "应为 数字; expected a number"),
    ("value: 12.5", "value: 1e400", "series[0].measures[0].indicators[1].target.value", "not above 1000000000000000"),
    ("value: 12.5", "value: -1", "series[0].measures[0].indicators[1].target.value", "not below 0"),
    ("lead: [labour]", "lead: [labor]", "series[0].measures[0].lead[0]", "one of those under bodies"),
    ("bodies:\n", "issuer: labor\nbodies:\n", "issuer", "one of those under bodies"),
    ("cap_fen: 1_000_000", "cap_fen: -1", "parameters.credit_line.cap_fen", "above 0"),
    ("industry_percent: 10", "industry_percent: ten", "parameters.training_subsidy.industry_percent", "an integer"),
    ('clause: "1.1"', 'clause: "9.9"', "parameters.training_subsidy.clause", "the id of a measure"),
    ("1, 1, 5]", "1, 5]", "month_weights", "at least 12"),
    ("{fact: enrollment.training-completed}", "{fact: training-completed}",
     "series[0].measures[0].indicators[0].value.of[0].fact", "text of the form"),
    ("basis: level", "basis: cumulative", "series[0].measures[0].indicators[1]", "basis level for a coverage"),
    ("document_no: 湖滨〔2024〕1号\n", "", "document_no", "this key"),
    ('code: "330681"', 'code: "110101"', "districts[2].code", "each code once"),
    ("id: 1.1.b", "id: 1.1.a", "series[0].measures[0].indicators[1].id", "each id once"),
    ("id: 1.1.b", "id: 2.1.b", "series[0].measures[0].indicators[1].id", "begins with 1.1."),
    ("document_no: 湖滨", "title: 一\ndocument_no: 湖滨", "title", "this key once"),
    ("city: true", "city: 1", "districts[0].city", "true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path", "expected"), FAULTS, ids=[fault[1][:30] for fault in FAULTS])
def test_a_fault_names_line_and_path_and_what_was_expected(old: str, new: str, path: str, expected: str) -> None:
    changed = TEXT.replace(old, new, 1)
    messages = faults(changed)
    message = next((fault for fault in messages if f": {path}: 应为 " in fault), "")
    assert expected in message, messages
    assert "; expected " in message
    line = int(message.removeprefix("plan.yaml:").partition(":")[0])
    at = changed_line(changed)
    # The line itself, or that of the part it belongs to.
    assert line == at or TEXT.splitlines()[line - 1].strip(" -{").startswith(BELONGS.get(path, "?")), (line, at)


def test_broken_yaml_names_its_line() -> None:
    assert faults("a: [1\nb: 2\n")[0].startswith("plan.yaml:2: ")


BOMBS = [
    ("[" * 50_000, "1: (file): 应为 至多 20 层; expected at most 20 levels"),
    ("- " * 21 + "x", "expected at most 20 levels"),
    ("a: &x [1]\nb: [2]", "1: (file): 应为 不用锚点和别名"),
    ("a: 1\nb: *x", "plan.yaml:2: (file)"),
    ("[" + "1," * 50_000 + "]", "expected at most 50,000 nodes"),
    ("x" * (1024 * 1024 + 1), "expected at most 1 MiB"),
    ("字" * 400_000, "expected at most 1 MiB"),
    ("%TAG !a! b\n" * 80_000 + "---\na: 1", "expected no directives"),
    ("series: [" + "1," * 40_000 + "]", "faults)"),
    ("a: " + "1:" * 500_000 + "1", "expected texts of at most 4,000 characters"),
    ('a: 1\n? "' + "k" * 4001 + '"\n: 1', "2: (file): 应为 每处文字至多 4,000 字"),
    ("a: " + "1:" * 1900 + "1.5", "expected YAML"),
    ("a: !!timestamp x", "1: (file): 应为 不用标签(!); expected no tags (!)"),
    ("a: 1\nb: !!bool x", "2: (file): 应为 不用标签(!)"),
    ("a: !!python/object/apply:os.system [x]", "expected no tags"),
    ("!!set {a}", "expected no tags"),
]


@pytest.mark.parametrize(("bomb", "expected"), BOMBS, ids=[expected[-30:] for _, expected in BOMBS])
def test_what_costs_more_than_a_plan_may_is_one_fault(bomb: str, expected: str) -> None:
    (message,) = faults(bomb)
    assert expected in message


def test_a_file_that_is_no_utf8_or_too_large_names_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    for content, expected in ((b"a: 1\nb: \xff", ":2: (file): 应为 UTF-8"), (b"\xe5" * 1_100_000, "at most 1 MiB")):
        file.write_bytes(content)
        with pytest.raises(PlanError, match=expected.replace("(", r"\(").replace(")", r"\)")):
            load_plan(file)


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT.replace("unit: person", "unit: x", 1).replace("by: person", "bx: person", 1))
    (tmp_path / "b.yaml").write_text("id: 7")
    with pytest.raises(PlanError) as error:
        load_plans(tmp_path)
    message = str(error.value)
    assert "a.yaml" in message
    assert "b.yaml" in message
    assert "document_no" in message


def test_a_folder_without_plans_says_so(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="at least one plan file"):
        load_plans(tmp_path)


def test_former_codes_and_listed_credit_codes_are_read() -> None:
    plan = read_plan(
        TEXT.replace("en: West Lake}}", 'en: West Lake}, formerly: [{code: "330682", until: 2024-12-31}]}').replace(
            "bodies:\n", 'credit_codes: [{code: "913306020000000211", reason: 登记证如此}]\nbodies:\n'
        ),
        "plan.yaml",
    )
    assert plan.successors == {"330682": "330681"}
    assert former_codes([plan, PLAN]) == {"330682": date(2024, 12, 31)}
    assert plan.covers("330682")
    assert not plan.covers("330683")
    assert districts_by_waiting_days([plan])[10] == ["110100", "110101", "330681", "330682"]
    assert [listed.code for listed in plan.credit_codes] == ["913306020000000211"]


def test_topics_and_users_of_a_former_code_stay(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        TEXT.replace("en: West Lake}}", 'en: West Lake}, formerly: [{code: "330682", until: 2024-12-31}]}')
    )
    assert district_codes(tmp_path) == ["110100", "110101", "330681", "330682"]
    assert district_codes(tmp_path, former=False) == ["110100", "110101", "330681"]
