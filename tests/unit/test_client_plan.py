"""`skillplan plan`: what is typed wrong is named in both languages, with exit code 2."""

import sys
from typing import get_args

import pytest

from client.__main__ import main
from client.commands.plan.planning import MonthAnswer
from client.commands.plan.tables import ACT_NAMES, DISTRICT_STATES, print_month
from client.districts import DistrictNames
from client.output import USAGE, CommandError, Output
from services.planning.months import Action, Status
from shared.plan.loading import load_plans
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("typed", "about"),
    [
        ("revise", "indicator"),
        ("revise --bogus", "--bogus"),
        ("nope", "nope"),
        ("revise 1.3.a >=1 --baseline abc", "--baseline"),
        ("withdraw x y", "--why"),
        ("--url", "--url"),
        ("revise 1.3.a many", ">=3600"),
        ("revise 1.3.a >=1e999", ">=3600"),
        ("revise 1.3.a >=1 --baseline inf", ""),
        ("revise 1.3.a >=1 --from 2024-02-30", "YYYY-MM-DD"),
        ("split 1.3.a 2024 330602", "="),
        ("split 1.3.a 2024 330602=1 330602=2", ""),
        ("restate 2024-03", "--number"),
        ("restate 2024-03 --ask", "--why"),
        ("diff no-such-file.yaml", "no-such-file.yaml"),
        ("assign hire/H-1 330602 --why x", "--service"),
        ("void /districts/330681/a x", "--why"),
        ("void /districts/330681/a x --service nope --subject hire/H-1 --why x", ""),
    ],
)
def test_a_command_that_is_typed_wrongly_is_told_so_in_both_languages(
    typed: str, about: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILLPLAN_LANG", "both")
    monkeypatch.setattr(sys, "argv", ["skillplan", "plan", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (USAGE, "")
    zh, en = output.err.splitlines()
    assert zh.startswith("✗ ")
    assert not en.isspace()
    assert about in zh


def test_a_month_is_shown_in_words_with_what_may_be_done_and_the_numbers_of_its_requests(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*ACT_NAMES} == {*get_args(Action)}
    assert {*DISTRICT_STATES} == {*get_args(Status)}
    month: MonthAnswer = {
        "plan": "p", "month": "2024-03", "state": "closed", "may": ["request-restatement", "withdraw"],
        "districts": [{"district": "330681", "state": "submitted", "by": "统计科", "message": None}],
        "requests": [{"request_no": "R-7", "by": "统计科", "why": "补报"}], "published": [],
    }  # fmt: skip
    for language, phrases in (
        ("zh", ("已关账", "诸暨市 330681", "已提交", "可办: 申请重述、撤回", "申请编号: R-7")),
        ("en", ("closed", "诸暨市 330681", "submitted", "may: restate --ask, withdraw", "request: R-7")),
    ):
        monkeypatch.setenv("SKILLPLAN_LANG", language)
        print_month(Output(), month, DistrictNames(ROOT / "plans"))
        printed = capsys.readouterr().out
        assert all(phrase in printed for phrase in phrases), printed


@pytest.mark.parametrize("written", ["330681", "诸暨市", "诸暨", " 诸 暨 市", "Zhuji", "ZHUJI"])
def test_a_district_is_named_as_people_do(written: str) -> None:
    assert DistrictNames(ROOT / "plans").code(written) == "330681"


@pytest.mark.parametrize("written", ["", "杭州", "33068", "诸暨市x"])
def test_an_unknown_district_is_answered_with_those_there_are(written: str) -> None:
    with pytest.raises(CommandError) as raised:
        DistrictNames(ROOT / "plans").code(written)
    assert "诸暨市(330681)" in raised.value.zh
    assert "Zhuji (330681)" in raised.value.en


def test_no_two_districts_are_called_alike() -> None:
    districts = DistrictNames(ROOT / "plans")
    for plan in load_plans(ROOT / "plans"):
        for district in plan.districts:
            assert {districts.code(district.name.zh), districts.code(district.name.en)} == {district.code}
            assert districts.label(district.code) == f"{district.name.zh} {district.code}"
