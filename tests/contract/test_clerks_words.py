"""What clerks read of a refusal is in their words: Chinese first, nothing of envelopes, pointers and field names."""

import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from client.validation import ReportFault
from services.catalogue import DOMAIN_SERVICES
from shared.contract import remedies, rules

FOREIGN = re.compile(r"信封|pointer|映射|取值|\b(data|subject|source|district)\b(?![)-])")
FIRST = re.compile(r"[\u4e00-\u9fff“「{]")


def texts() -> Iterator[tuple[str, str]]:
    for name in DOMAIN_SERVICES:
        import_module(f"services.{name}.decider")
    for rule in rules.defined():
        yield rule.__name__, rule.zh
    for codes in remedies.written().values():
        for code, entry in codes.items():
            yield code, entry["fix"]["zh"].strip().replace("revise --district", "")


def test_no_text_of_a_refusal_begins_with_or_rests_on_a_programmers_word() -> None:
    foreign = {name: zh for name, zh in texts() if FOREIGN.search(zh) or not FIRST.match(zh)}
    assert foreign == {}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "第 5 行「录用日期」(K5):不是有效日期,应为 YYYY-MM-DD。\n    → 写成 年-月-日"),
        ("en", 'row 5 "录用日期" (K5): This is not a valid date'),
    ],
)
def test_a_faulty_cell_is_named_by_row_and_column_then_the_reason_the_fix_and_last_the_code(
    language: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLPLAN_LANG", language)
    reason = rules.BadDate("/data/hired_on").reason()
    fault = ReportFault(5, reason["code"], reason["zh"], reason["en"], reason["pointer"], "K5", "录用日期")
    assert fault.as_text().startswith(text)
    assert fault.as_text().endswith("[bad-date]")


def test_a_value_in_a_text_is_said_in_its_own_language_alone() -> None:
    reason = rules.BadValue("/data/seats", expected="大于 0 的整数 an integer above 0").reason()
    assert reason["zh"].endswith("应为:大于 0 的整数。")
    assert reason["en"].endswith(": an integer above 0.")
