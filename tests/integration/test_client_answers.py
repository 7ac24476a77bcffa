"""What the client says of a row is what the service answered to this very content: each time, by Kafka and by HTTP, on
any journal, whoever ran before (cases F01, F10, F25, F33)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from client.__main__ import app
from client.demo.people import MadeUpPeople
from tests.conftest import ROOT
from tests.harness.processes import System

SERVICES: Final = ("recruitment",)
CASES: Final = ROOT / "tests" / "cases"
MAPPING: Final = ROOT / "docs" / "examples" / "hires.yaml"
Run = Callable[..., Result]


@pytest.fixture(params=["kafka", "http"])
def by(request: pytest.FixtureRequest) -> str:
    """The way the reports take."""
    return str(request.param)


@pytest.fixture
def skillplan(running: System, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program, on a journal of its own (`journal`: another clerk's)."""
    monkeypatch.setenv("SKILLPLAN_KAFKA", running.kafka)
    monkeypatch.setenv("SKILLPLAN_SERVICES", json.dumps({"recruitment": running.the("recruitment", "api").url}))
    monkeypatch.setenv("SKILLPLAN_LANG", "zh")

    def run(command: str, *arguments: str, journal: str = "mine") -> Result:
        way = ["--http"] if by == "http" else ["--wait"] if command == "publish" else []
        place = ["--journal", str(tmp_path / journal)]
        return CliRunner().invoke(app, [command, *arguments, *way, *place], catch_exceptions=False)

    return run


def case(tmp_path: Path, name: str, mark: str) -> str:
    """Copy a table of a case, with contract numbers and persons of its own."""
    text = (CASES / name).read_text(encoding="utf-8-sig")
    people = MadeUpPeople(mark)
    numbers = iter(range(100))
    text = re.sub(r"99000019900101[0-9]{3}[0-9X]", lambda _: people.person(next(numbers))["id_number"], text)
    file = tmp_path / Path(name).name
    file.write_text(text.replace(",F", f",{mark}-F"), encoding="utf-8-sig")
    return str(file)


def table(file: str, mapping: Path = MAPPING) -> list[str]:
    return [file, "--mapping", str(mapping)]


def total(result: Result) -> dict[str, int]:
    counts: dict[str, int] = json.loads(result.stdout.splitlines()[-1])["total"]
    return counts


def test_a_changed_row_under_its_old_id_is_refused_each_time_and_corrected_on_request(
    skillplan: Run, by: str, tmp_path: Path
) -> None:
    """Case F01."""
    before, changed = case(tmp_path, "F01/hires.csv", f"c1{by}"), case(tmp_path, "F01/hires-changed.csv", f"c1{by}")
    mapping = tmp_path / "m.yaml"
    mapping.write_text(MAPPING.read_text(encoding="utf-8").replace("/employment", f"/c1{by}"), encoding="utf-8")
    assert skillplan("publish", *table(before, mapping)).exit_code == 0
    for journal in ("mine", "mine", "another", "another"):
        done = skillplan("publish", *table(changed, mapping), journal=journal)
        assert done.exit_code == 1, done.output
        assert "第 4 行:这个编号已用于内容不同的另一份报告。" in done.stderr.replace("「编号」", "").replace(
            "「合同编号」(B4)", ""
        )
        assert "[id-reused]" in done.stderr
        assert len(re.findall("^第 ", done.stderr, re.MULTILINE)) == 1, "and no other row"
    statement = total(skillplan("statement", "--source", f"/districts/330681/c1{by}", "--json"))
    assert (statement["sent"], statement["accepted"], statement["refused"]) == (7, 6, 1)

    corrected = skillplan("correct", "4", "--file", *table(changed, mapping))
    assert corrected.exit_code == 0, corrected.output
    assert "已更正" in corrected.stdout
    done = skillplan("publish", *table(changed, mapping))
    assert done.exit_code == 0, done.output
    assert "同" in skillplan("correct", "4", "--file", *table(changed, mapping)).stdout


def test_sequence_numbers_that_begin_anew_each_month_are_named(skillplan: Run, by: str, tmp_path: Path) -> None:
    """Case F01, variant."""
    mapping = tmp_path / "seq.yaml"
    mapping.write_text(
        (CASES / "F01" / "seq.yaml").read_text(encoding="utf-8").replace("f01hire", f"seq{by}"), encoding="utf-8"
    )
    january, february = case(tmp_path, "F01/january.csv", f"c2{by}"), case(tmp_path, "F01/february.csv", f"c3{by}")
    assert skillplan("publish", *table(january, mapping)).exit_code == 0
    for journal in ("mine", "fresh"):
        done = skillplan("publish", *table(february, mapping), journal=journal)
        assert done.exit_code == 1
        assert done.stderr.count("[id-reused]") == 4


def test_a_refused_row_that_was_mended_goes_out_under_a_new_id_by_itself(
    skillplan: Run, running: System, by: str, tmp_path: Path
) -> None:
    file = case(tmp_path, "F25/six.csv", f"c4{by}")
    lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        MAPPING.read_text(encoding="utf-8").replace('"hire-{合同编号}"', f'"c4{by}-{{序号}}"'), encoding="utf-8"
    )

    def write(last: str) -> None:
        Path(file).write_text("\n".join([*lines[:6], last]), encoding="utf-8-sig")

    same_subject = lines[6].replace(lines[6].split(",")[1], lines[5].split(",")[1])
    write(same_subject)
    for _ in range(2):
        refused = skillplan("publish", *table(file, mapping))
        assert refused.exit_code == 1
        assert "第 7 行" in refused.stderr
        assert "[already-open]" in refused.stderr
    write(lines[6])
    for journal in ("fresh", "mine", "fresh"):  # who never sent it learns from the service that it was refused
        done = skillplan("publish", *table(file, mapping), journal=journal)
        assert done.exit_code == 0, done.output
    facts = running.query("recruitment", "select report_id from fact where report_id like $1 order by 1", f"c4{by}-6%")
    assert [row[0] for row in facts] == [f"c4{by}-6.2"]


def test_what_is_invalid_or_refused_is_named_each_time(skillplan: Run, by: str, tmp_path: Path) -> None:
    """Case F10; a district that the plan does not know spoils nothing for the others."""
    file = tmp_path / "x.ndjson"
    lines = [
        line.replace("f10-", f"f10{by}-").replace("F10-", f"F10{by}-")
        for line in (CASES / "F10" / "x.ndjson").read_text(encoding="utf-8").splitlines()
        if "competition" not in line
    ]  # fmt: skip
    right = json.loads(lines[-1])
    right |= {
        "id": f"right-{by}",
        "subject": f"hire/right-{by}",
        "source": "/districts/330681/setup",
        "district": "330681",
    }
    right["data"]["channel"] = "other"
    right["data"]["person"] = MadeUpPeople(f"f10{by}").person(1)
    file.write_text("\n".join([*lines, "{", json.dumps(right)]), encoding="utf-8")
    outputs = [skillplan("publish", str(file), "--unchecked", "--limit", "99") for _ in range(2)]
    named = [sorted(set(re.findall("第 ([0-9]+) 行", done.stderr))) for done in outputs]
    assert [done.exit_code for done in outputs] == [1, 1]
    assert named[0] == named[1]
    assert {"1", "2", "3", str(len(lines) + 1)} <= set(named[0])
    assert str(len(lines) + 2) not in named[0], "the right one is accepted"


def test_what_is_no_longer_in_the_file_is_named_and_taken_back_on_request(
    skillplan: Run, by: str, tmp_path: Path
) -> None:
    """Case F25."""
    six, four = case(tmp_path, "F25/six.csv", f"c5{by}"), case(tmp_path, "F25/four.csv", f"c5{by}")
    assert skillplan("publish", *table(six)).exit_code == 0
    done = skillplan("publish", *table(four))
    assert (done.exit_code, "现已不在其中的有 2 份" in done.stdout) == (0, True), done.output
    out = tmp_path / "out.ndjson"
    compared = skillplan("statement", "--file", *table(four), "--retractions", str(out))
    assert compared.exit_code == 0, compared.output
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2
    assert skillplan("publish", str(out)).exit_code == 0
    assert "不在其中的 0 份" in skillplan("statement", "--file", *table(four)).stdout
    gone = re.findall(r"hire-\S+", compared.stdout)
    again = skillplan("retract", gone[0], "--why", "登记有误")
    assert (again.exit_code, "受理或等待中" in again.stderr) == (2, True), again.output
    first = Path(four).read_text(encoding="utf-8-sig").splitlines()[1].split(",")[1]
    retracted = skillplan("retract", f"hire-{first}", "--why", "合同未履行")
    assert (retracted.exit_code, "已撤回" in retracted.stdout) == (0, True), retracted.output


def test_a_file_that_breaks_off_says_what_was_sent_and_waits_for_it(skillplan: Run, by: str, tmp_path: Path) -> None:
    """Case F33."""
    people = MadeUpPeople(f"f33{by}")
    header, first, *_ = (CASES / "F25" / "six.csv").read_text(encoding="utf-8-sig").splitlines()
    cells = first.split(",")
    rows = [
        ",".join([str(at), f"F33{by}-{at}", "示例", people.person(at)["id_number"], *cells[4:]]) for at in range(560)
    ]
    rows[530] = rows[530].replace("示例", '"示"例"')
    file = tmp_path / "f33.csv"
    file.write_text("\n".join([header, *rows]), encoding="utf-8-sig")
    done = skillplan("publish", *table(str(file)))
    assert done.exit_code == 1, done.output
    counts = re.search("已报送 ([0-9]+)", done.stdout)
    assert counts is not None
    assert int(counts[1]) >= 530, "what stood before is sent"
    assert f"受理 {counts[1]}" in done.stdout, "and answered"


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_retries_and_other_clerks_the_statement_is_what_the_log_says(
    skillplan: Run, running: System, by: str, seed: int, tmp_path: Path
) -> None:
    """Rows that change, files that shrink, clerks with journals of their own, runs again: every statement over Kafka
    says what the service decided of each id, and each row of the last file is named or accepted."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    mark = f"any{by}{seed}"
    people = MadeUpPeople(mark)
    rows = [_hire(mark, at, people.person(at)) for at in range(12)]
    file = tmp_path / "f.ndjson"
    for _ in range(4):
        for row in chance.sample(rows, 3):
            row["data"]["hired_on"] = f"2024-05-{chance.randint(1, 28):02}"
            row["subject"] = f"hire/{mark}-{chance.randrange(12)}"
        chosen = chance.sample(rows, 9)
        file.write_text("\n".join(map(json.dumps, chosen)), encoding="utf-8")
        for clerk in chance.sample(["mine", "second"], chance.randint(1, 2)):
            done = skillplan("publish", str(file), "--json", journal=clerk)
            rejected = {json.loads(line).get("line") for line in done.stdout.splitlines() if '"code"' in line}
            assert done.exit_code == (1 if rejected else 0), done.output
    receipts = running.query(
        "recruitment",
        "select distinct on (id) id, convert_from(bytes, 'utf-8')::json->>'status' status from receipt "
        "where source like $1 and decision is not null order by id, decision desc",
        f"%/{mark}",
    )
    reused = running.query(
        "recruitment",
        "select count(distinct id) from receipt where source like $1 and decision is null "
        "and convert_from(bytes, 'utf-8')::jsonb->'reasons'->0->>'code' = 'id-reused'",
        f"%/{mark}",
    )[0][0]
    if by == "kafka":
        for clerk in ("mine", "second", "third"):
            counts = total(skillplan("statement", "--source", f"/districts/330602/{mark}", "--json", journal=clerk))
            assert counts["accepted"] == sum(row["status"] == "accepted" for row in receipts)
            assert counts["refused"] == sum(row["status"] == "refused" for row in receipts) + reused
            assert counts["no_answer"] == counts["invalid"] == 0
    standing = running.query("recruitment", "select count(*) from fact where report_id like $1", f"{mark}-%")[0][0]
    assert standing == sum(row["status"] == "accepted" for row in receipts)


def _hire(mark: str, at: int, person: dict[str, str]) -> dict[str, Any]:
    return {
        "specversion": "1.0", "type": "skillplan.recruitment.person-hired.v1", "id": f"{mark}-{at}",
        "source": f"/districts/330602/{mark}", "subject": f"hire/{mark}-{at}", "time": "2024-05-06T09:30:00+08:00",
        "district": "330602",
        "data": {
            "person": person, "enterprise": MadeUpPeople(mark).organisation("enterprise", "330602", 1),
            "channel": "other", "occupation_code": "6-18-01-01", "hired_on": "2024-05-06",
        },
    }  # fmt: skip
