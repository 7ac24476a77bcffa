"""The plan office's months and targets on real parts: adopt, revise, split, submit, close, what came after, restate."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import json
import re
import shlex
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import openpyxl
import pytest

from client.audit.witness import CosigningWitness, server_of
from services.planning.events import Figure, digest_of, seal_of
from services.planning.targets_in_force import document_of
from shared.http.api_keys import KeyFile, Role
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import read_checkpoint
from tests.conftest import ROOT
from tests.harness.fork_server import fork_server
from tests.harness.pictures import code_in_svg
from tests.harness.plan_office import FILE, MONTH, OFFICE, PLAN, SIX, STRUCTURED, PlanOffice
from tests.harness.processes import FIGURES_KEY, LOG_KEY, System, eventually
from tests.harness.reports import report as envelope
from tests.harness.topics import check_log

YAML = {"content-type": "application/yaml"}


@pytest.fixture
def office(system: System) -> PlanOffice:
    return PlanOffice(system)


def refused(answer: dict[str, Any], code: str, begins: str = "") -> None:
    """Check that an answer refuses by a rule, in words that begin so in Chinese."""
    assert answer["status"] == "refused", answer
    (reason,) = answer["reasons"]
    assert reason["code"] == code
    assert reason["zh"].startswith(begins), reason
    assert reason["zh"] != reason["en"]


def listed(office: PlanOffice, path: str, **parameters: str) -> list[dict[str, Any]]:
    """Return the rows of a listing as XLSX by its titles."""
    answer = office.projection.get(path, params=parameters | {"format": "xlsx", "lang": "zh"})
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    titles, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(map(str, titles), row, strict=True)) for row in rows]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["zh"] != body["en"]
    return body


@pytest.mark.timeout(400)
def test_targets_with_a_history_and_a_month_from_its_submission_to_its_restatement(
    office: PlanOffice, tmp_path: Path
) -> None:
    targets_have_a_history(office)
    targets_go_out_and_come_in_as_a_workbook(office, tmp_path / "targets.xlsx")
    wrong_input_changes_nothing(office)
    notes_are_read_as_they_were_known(office)
    a_month_is_closed_and_restated(office)
    the_office_assigns_and_voids(office)
    a_close_waits_for_witnesses(office, tmp_path)
    check_log(office.system, "planning")


def targets_have_a_history(office: PlanOffice) -> None:
    """Adopt, revise, split: an older view shows the older target, a district its own (E2, F2 to F4)."""
    diff = office.planning.post(f"/v1/plans/{PLAN.id}/diff", content=FILE.read_bytes(), headers=YAML).json()
    assert (diff["against"], len(diff["changes"])) == (None, len(PLAN.indicators))
    adopted = office.run("adopt", str(FILE), "--yes", "--from", "2023-01-01")
    assert adopted.returncode == 0, adopted.stderr
    assert office.run("diff", str(FILE)).returncode == 0
    assert office.run("adopt", str(FILE), "--yes").returncode == 1
    office.counted()
    before = datetime.now(UTC).isoformat()
    done = office.run(
        "--json", "revise", "4.1.b", ">=1200", "--from", "2024-07-01", "--why", "中期评估", "--clause", "第 9 号文"
    )
    assert done.returncode == 0, done.stderr
    revised = json.loads(done.stdout)
    parts = dict.fromkeys(SIX, 200)
    split = office.tell(
        "target-split", f"split/{PLAN.id}/4.1.b/2024/districts", plan=PLAN.id, indicator="4.1.b", period="2024",
        over="districts", parts=parts, effective_from="2024-07-01", by="计划科",
    )  # fmt: skip
    assert (revised["status"], split["status"]) == ("accepted", "accepted"), (revised, split)
    office.counted()
    old = PLAN.indicators["4.1.b"][1].target
    assert old is not None
    assert office.cell("4.1.b", as_of="2024-06-30")["target"] == {
        "op": old.op,
        "value": int(old.value or 0),
        "upper": None,
    }
    assert office.cell("4.1.b", as_of="2024-07-01")["target"]["value"] == 1200
    assert office.cell("4.1.b", as_of="2024-07-01", known_at=before)["target"]["value"] == int(old.value or 0)
    own = office.cell("4.1.b", as_of="2024-12-31", district="330681")
    assert (own["target"]["value"], own["met"], own["signal"]) == (200, False, "red")
    assert office.cell("4.1.b", as_of="2024-06-30", district="330681")["target"] is None
    targets = office.planning.get(f"/v1/plans/{PLAN.id}", params={"on": "2024-12-31"}).json()
    indicator = next(entry for entry in targets["indicators"] if entry["id"] == "4.1.b")
    period = next(entry for entry in indicator["periods"] if entry["period"] == "2024")
    assert (period["target"]["value"], period["target"]["clause"], period["difference"]) == (1200, "第 9 号文", 0)
    done = office.run("show", "4.1.b", "--on", "2024-12-31")
    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in (">= 1,200", "330681", "差额 difference", "中期评估")), done.stdout
    revisions = [entry for entry in indicator["history"] if entry["type"] == "target-revised"]
    assert [(entry["why"], entry["reportedby"]) for entry in revisions] == [("中期评估", "open")]
    withdrawn = office.run("withdraw", f"target/{PLAN.id}/4.1.b", revised["id"], "--why", "暂缓")
    assert withdrawn.returncode == 0, withdrawn.stderr
    assert "accepted" in withdrawn.stdout
    office.counted()
    assert office.cell("4.1.b", as_of="2024-07-01")["target"]["value"] == int(old.value or 0)


def targets_go_out_and_come_in_as_a_workbook(office: PlanOffice, file: Path) -> None:
    """What is wrong in a row changes nothing; what is right is revised and split once, and then nothing is left."""
    assert office.run("export", str(file), "--on", "2024-07-01").returncode == 0
    import_ = ("import", str(file), "--yes", "--from", "2024-07-01", "--by", "计划科")
    head = office.head()
    assert office.run(*import_).returncode == 0
    parts = dict.fromkeys(SIX, 20)
    for cells, code in (({"目标": 121} | parts, 1), ({"目标": 121, "差额": 1} | parts, 0), ({}, 0)):
        book = openpyxl.load_workbook(file)
        sheet = book.worksheets[0]
        titles = [str(cell.value) for cell in sheet[1]]
        (row,) = [row for row in sheet.iter_rows(min_row=2) if (row[0].value, row[3].value) == ("3.3.a", "2024")]
        for name, value in cells.items():
            (place,) = [place for place, title in enumerate(titles) if name in (title[:2], title[-6:])]
            row[place].value = value
        book.save(file)
        done = office.run(*import_)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("相差 1" in done.stderr) is bool(code)
        assert (office.head() == head) is bool(code) or not cells
        decided = office.head()
    assert office.run(*import_).returncode == 0
    assert office.head() == decided, "once: what is in force already is not said again"
    (indicator,) = [
        each
        for each in office.planning.get(f"/v1/plans/{PLAN.id}", params={"on": "2024-12-31"}).json()["indicators"]
        if each["id"] == "3.3.a"
    ]
    targets = {period["period"]: period for period in indicator["periods"]}
    assert (targets["2024"]["target"]["value"], targets["2024"]["difference"]) == (121, 1)
    later = office.planning.get(f"/v1/plans/{PLAN.id}", params={"on": "2025-01-01"}).json()["indicators"]
    (year,) = [period for each in later if each["id"] == "3.3.a" for period in each["periods"][2:]]
    assert year["target"]["value"] == PLAN.indicators["3.3.a"][1].target.value  # type: ignore[union-attr]
    office.counted()


def notes_are_read_as_they_were_known(office: PlanOffice) -> None:
    """A note takes the place of the earlier one, as known at an instant; a wrong one changes nothing (F11)."""
    arguments = ("note", "4.1.b", "2024", "330681", "--cause", "=1+1", "--by", "诸暨市统计科")
    assert office.run(*arguments, "--next", "月底前核定").returncode == 0
    assert office.run(*arguments, "--next", "月底前核定").returncode == 1
    office.counted()
    between = datetime.now(UTC).isoformat()
    cell = {"plan": PLAN.id, "indicator": "4.1.b", "period": "2024", "of": "330681"}
    subject = f"note/{PLAN.id}/4.1.b/2024/330681"
    later = {"cause": "<3 家企业推迟", "next_step": "每周报进度", "by": "市就业处"}
    assert office.tell("note-written", subject, **cell, **later)["status"] == "accepted"
    head = office.head()
    for field, text in (("cause", "推" * 201), ("next_step", "a\u200bb"), ("cause", ""), ("cause", "<b>推迟</b>")):
        (reason,) = office.tell("note-written", subject, **cell | later | {field: text})["reasons"]
        assert (reason["code"], reason["pointer"]) == ("bad-value", f"/data/{field}")
    refused(office.tell("note-written", subject, district="330602", **cell, **later), "not-yours")
    assert office.head() == head
    office.counted()
    url = f"/v1/plans/{PLAN.id}/notes"
    answer = office.projection.get(url, params={"indicator": "4.1.b", "district": "330681"}).json()
    (note,) = answer["notes"]
    day = {"as_of": "2024-12-31", "indicator": "4.1.b"}
    missing = office.projection.get(url, params=day).json()["missing"]
    assert [(each["district"], each["since"][:4]) for each in missing if each["district"] in (None, "330681")] == [
        (None, "2024")
    ], "of its own district it is written"
    assert {name: note[name] for name in later} == later
    assert [(each["cause"], each["by"]) for each in note["earlier"]] == [("=1+1", "诸暨市统计科")]
    assert answer["may"] == sorted(PLAN.district_codes)
    (before,) = office.projection.get(url, params={"known_at": between}).json()["notes"]
    assert (before["cause"], before["earlier"]) == ("=1+1", [])
    text = office.projection.get(url, params={"known_at": between, "format": "csv"}).text
    assert "'=1+1" in text
    (row,) = listed(office, url, known_at=between)
    assert (row["原因"], row["下一步"], row["区县"]) == ("=1+1", "月底前核定", "诸暨市")
    page = office.projection.get(f"/v1/plans/{PLAN.id}/briefing", params={"month": "2024-12"}).text
    assert "&lt;3 家企业推迟" in page
    problem(office.projection.get(url, params={"indicator": "9.9.z"}), 404)


def the_office_assigns_and_voids(office: PlanOffice) -> None:
    """By its commands, at another service than its own: the subject is another district's, the hire counts no more."""
    office.hire(70, "2024-05-06")
    office.counted()
    before = office.cell("4.1.b")["value"]
    subject, source, why = "hire/C-70", "/districts/330681/tests", ("--why", "查实")
    done = office.run("assign", subject, "330602", "--service", "recruitment", *why)
    assert done.returncode == 0, done.stderr
    ended = envelope("recruitment.hire-ended", "h-70-end", subject, {"ended_on": "2024-05-20"})
    refused(office.recruitment.post("/v1/events", json=ended, headers=STRUCTURED).json(), "not-yours")
    assert office.run("void", source, "no-such-report", *why).returncode != 0
    eventually(lambda: office.projection.get("/v1/receipts", params={"source": source, "id": "h-70"}).is_success)
    done = office.run("void", source, "h-70", *why)  # where it was decided and on what: by its receipt
    assert done.returncode == 0, done.stderr
    office.counted()
    assert office.cell("4.1.b")["value"] == before - 1


def wrong_input_changes_nothing(office: PlanOffice) -> None:
    """A typo, a split that does not add up, what is unknown: one clear answer in both languages, and no fact."""
    head = office.head()
    typo = FILE.read_text(encoding="utf-8").replace("baseline:", "baselime:", 1)
    body = problem(office.planning.post(f"/v1/plans/{PLAN.id}/diff", content=typo.encode(), headers=YAML), 422)
    (fault,) = body["faults"]
    bombs_are_refused_and_hold_up_nobody(office)
    away = office.run("--url", "http://127.0.0.1:1", "show")
    assert (away.returncode, "cannot be reached" in away.stderr, "无法连接" in away.stderr) == (3, True, True)
    for wrong_command, code in (
        (("revise", "9.9.z", ">=1"), 1),
        (("revise", "1.3.a", "many"), 2),
        (("diff", "no.yaml"), 2),
    ):
        ended = office.run(*wrong_command)
        assert ended.returncode == code, ended.stderr
        assert "✗" in ended.stderr
        assert ended.stdout == ""
    assert fault["line"] > 100
    assert "baselime" in fault["path"]
    refused(
        office.tell(
            "target-split", f"split/{PLAN.id}/1.3.a/2024/districts", plan=PLAN.id, indicator="1.3.a", period="2024",
            over="districts", parts={"330681": 1}, effective_from="2024-01-01", by="计划科",
        ), "parts-do-not-add-up",
    )  # fmt: skip
    refused(
        office.tell(
            "target-revised", f"target/{PLAN.id}/9.9.z", plan=PLAN.id, indicator="9.9.z", op=">=", value=1,
            effective_from="2024-07-01", by="计划科",
        ), "unknown-indicator",
    )  # fmt: skip
    refused(
        office.tell(
            "target-revised", f"target/{PLAN.id}/1.3.a", district="330681", plan=PLAN.id, indicator="1.3.a", op=">=",
            value=1, effective_from="2024-07-01", by="某县",
        ), "wrong-district",
    )  # fmt: skip
    wrong = {"/v1/plans/nowhere": 404, f"/v1/plans/{PLAN.id}/months/2022-01": 422, f"/v1/plans/{PLAN.id}/months/x": 422}
    for path, status in wrong.items():
        problem(office.planning.get(path), status)
    close = f"/v1/plans/{PLAN.id}/months/{MONTH}/close"
    problem(office.planning.post(close, content=b"[]", headers={"content-type": "application/json"}), 400)
    # What a page of elsewhere could have a browser send without asking first.
    for media in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        headers = {"content-type": media} if media else {}
        for path in (close, close.replace("close", "restate"), f"/v1/plans/{PLAN.id}/diff", "/v1/events"):
            problem(office.planning.post(path, content=b'{"by": "x"}', headers=headers), 415)
    assert office.head() == head


def figures_are_not_invented(office: PlanOffice) -> None:
    """RULES F8a: what the projection has not counted is not published, and what is published is counted anew."""
    made = office.projection.get(f"/v1/plans/{PLAN.id}/figures", params={"month": MONTH}).json()
    better = [figure | {"numerator": figure["numerator"] + 1000} for figure in made["figures"]]
    sha256 = digest_of([Figure.model_validate(figure) for figure in better])
    invented: dict[str, Any] = {
        "plan": PLAN.id,
        "month": MONTH,
        "known_at": made["known_at"],
        "figures": better,
        "sha256": sha256,
    }
    for sealed in ({}, {"seal": made["seal"]}, {"seal": "0" * 64}):
        subject = f"month/{PLAN.id}/{MONTH}"
        refused(office.tell("period-closed", subject, **invented, **sealed, by="计划科"), "not-our-figures")
    # Who has the key could seal anything: another month, closed like that, is not called verified.
    other = "2024-02"
    override: dict[str, Any] = {"plan": PLAN.id, "month": other, "districts": SIX, "by": "分管领导", "why": "试"}
    assert office.tell("close-overridden", f"month/{PLAN.id}/{other}", **override)["status"] == "accepted"
    seal = seal_of(bytes.fromhex(FIGURES_KEY), PLAN.id, other, made["known_at"], sha256)
    closed = office.tell(
        "period-closed", f"month/{PLAN.id}/{other}", **invented | {"month": other, "seal": seal}, by="计划科"
    )
    assert closed["status"] == "accepted", closed
    assert closed["reportedby"] == "open"
    office.counted()
    assert office.projection.get(f"/v1/plans/{PLAN.id}/closings/{other}").json()["verified"] is False


def bombs_are_refused_and_hold_up_nobody(office: PlanOffice) -> None:
    """What would cost more than a plan may is refused; meanwhile others are answered, and the process lives on."""
    process = office.system.the("planning", "api")
    assert process.child is not None
    before, waits, done = process.child.pid, [0.0], threading.Event()
    diff, close = f"/v1/plans/{PLAN.id}/diff", f"/v1/plans/{PLAN.id}/months/{MONTH}/close"

    def probe() -> None:
        with httpx.Client(base_url=process.url, timeout=20) as client:
            while not done.wait(0.01):
                began = time.perf_counter()
                assert client.get("/livez").status_code == 200
                waits.append(time.perf_counter() - began)

    probing = threading.Thread(target=probe)
    probing.start()
    try:
        bombs = ["[" * 50_000, "a: &a [x]\nb: *a", "- " * 25 + "x", "[" + "1," * 60_000 + "]", "%TAG !a! b\n" * 80_000]
        for bomb in bombs:
            answer = office.planning.post(diff, content=bomb.encode(), headers=YAML)
            (fault,) = problem(answer, 422)["faults"]
            assert fault["path"] == ""
        problem(office.planning.post(diff, content=b"x" * 1_048_577, headers=YAML), 413)
        for json_bomb in (b"[" * 50_000, b'{"by":' + b"[" * 50_000):
            problem(office.planning.post(close, content=json_bomb, headers={"content-type": "application/json"}), 400)
            problem(office.planning.post("/v1/events", content=json_bomb, headers=STRUCTURED), 400)
    finally:
        done.set()
        probing.join()
    assert process.child.pid == before
    assert process.alive
    assert max(waits) < 0.5, "100 ms on a machine of its own"


def a_month_is_closed_and_restated(office: PlanOffice) -> None:
    """Submit, return, submit, approve, close; a late hire shows as after the close; a restatement publishes it."""
    office.hire(1, "2024-03-05")
    close = f"/v1/plans/{PLAN.id}/months/{MONTH}/close"
    refused(office.planning.post(close, json={"by": "计划科"}).json(), "not-approved")
    assert office.submit(SIX[0])["status"] == "accepted"
    returned = office.answer("period-returned", SIX[0], items=["4.1.b"], message="请核对")
    assert returned["status"] == "accepted", returned
    assert "submit" in office.month()["may"]
    for code in SIX[:-1]:
        assert office.submit(code)["status"] == "accepted"
        assert office.answer("period-approved", code)["status"] == "accepted"
    assert office.month()["missing"] == [SIX[-1]]
    overridden = office.tell(
        "close-overridden", f"month/{PLAN.id}/{MONTH}", plan=PLAN.id, month=MONTH, districts=[SIX[-1]],
        by="分管领导", why="系统故障",
    )  # fmt: skip
    assert overridden["status"] == "accepted", overridden
    assert office.month()["may"] == ["submit", "return", "close", "withdraw"]
    # What bound no id may be sent again under it (RULES A3); an id of something else is not this.
    assert office.planning.post(close, json={"id": "close-1"}).json()["status"] == "invalid"
    refused(
        office.planning.post(
            close, json={"by": "计划科", "id": overridden["id"], "source": overridden["source"]}
        ).json(),
        "id-reused",
    )
    figures_are_not_invented(office)
    closed = office.planning.post(close, json={"by": "计划科", "id": "close-1"})
    assert closed.json()["status"] == "accepted", closed.text
    assert office.planning.post(close, json={"by": "计划科", "id": "close-1"}).json() == closed.json()
    refused(office.planning.post(close, json={"by": "计划科"}).json(), "already-open", "本月已经关账")
    office.hire(2, "2024-03-20")
    office.counted()
    closing = office.projection.get(f"/v1/plans/{PLAN.id}/closings/{MONTH}").json()
    assert closing["verified"] is True
    assert [entry["why"] for entry in closing["overrides"]] == ["系统故障"]
    moved = next(entry for entry in closing["figures"] if entry["indicator"] == "4.1.b")
    assert (moved["numerator"], moved["live"]["numerator"]) == (1, 2)
    assert (moved["after_close"]["more"], moved["after_close"]["less"]) == (1, 0)
    (fact,) = moved["after_close"]["facts"]
    assert (fact["report_id"], fact["cause"], fact["district"]) == ("h-2", "original", "330681")
    refused(
        office.tell(
            "target-revised", f"target/{PLAN.id}/1.3.a", plan=PLAN.id, indicator="1.3.a", op=">=", value=3300,
            effective_from="2024-01-01", by="计划科",
        ), "reason-needed",
    )  # fmt: skip
    restate = f"/v1/plans/{PLAN.id}/months/{MONTH}/restate"
    refused(office.planning.post(restate, json={"by": "计划科", "request_no": "R-1"}).json(), "not-requested")
    receipt = office.tell(
        "restatement-requested", f"restatement/{PLAN.id}/{MONTH}/R-1", district="330681", plan=PLAN.id, month=MONTH,
        by="诸暨市统计科", why="补报",
    )  # fmt: skip
    assert receipt["status"] == "accepted", receipt
    again = office.tell(
        "restatement-requested", f"restatement/{PLAN.id}/{MONTH}/R-1", plan=PLAN.id, month=MONTH,
        by="计划科", why="另报",
    )  # fmt: skip
    refused(again, "already-open", "这个编号已有一份申请")
    assert office.month()["may"] == ["restate", "request-restatement", "withdraw"]
    restated = office.planning.post(restate, json={"by": "计划科", "request_no": "R-1"}).json()
    assert restated["status"] == "accepted", restated
    office.counted()
    closing = office.projection.get(f"/v1/plans/{PLAN.id}/closings/{MONTH}").json()
    moved = next(entry for entry in closing["figures"] if entry["indicator"] == "4.1.b")
    assert (moved["numerator"], moved["after_close"]["more"]) == (2, 0)
    assert [entry["why"] for entry in closing["published"]] == [None, "补报"]
    *_, listed = office.projection.get(f"/v1/plans/{PLAN.id}/closings").json()["months"]
    assert listed["sha256"] == closing["sha256"]
    as_table(office, closing)


def as_table(office: PlanOffice, closing: dict[str, Any]) -> None:
    """Compare the month as CSV with what its JSON says."""

    def rows(path: str) -> list[dict[str, str]]:
        answer = office.projection.get(f"/v1/plans/{PLAN.id}/closings{path}", params={"format": "csv"})
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    figures = {row["indicator"]: row for row in rows(f"/{MONTH}")}
    assert {name: row["numerator"] for name, row in figures.items()} == {
        figure["indicator"]: str(figure["numerator"]) for figure in closing["figures"]
    }
    assert (figures["4.1.b"]["live.numerator"], figures["4.1.b"]["published_at"]) == ("2", closing["known_at"])
    in_sheet = [row for row in listed(office, f"/v1/plans/{PLAN.id}/closings") if row["月份"] == MONTH]
    assert [(row["公布"], row["理由"]) for row in in_sheet] == [("关账", None), ("重述", "补报")]
    published = [row for row in rows("") if row["month"] == MONTH]
    assert [(row["sha256"], row["why"]) for row in published] == [
        (publication["sha256"], publication["why"] or "") for publication in closing["published"]
    ]


class Desk:
    """Somebody with a key, who tries everything there is to do."""

    def __init__(self, office: PlanOffice, key: str, source: str) -> None:
        self._office, self._headers, self.source = office, {"authorization": f"Bearer {key}"}, source
        self.key_id = key.split("_")[1]
        self.district = source.split("/")[2]

    def may(self) -> set[str]:
        """Return what the API says that may be done, on the targets and in the month."""
        permitted: set[str] = set()
        for path, prefix in ((f"/v1/plans/{PLAN.id}", "targets:"), (f"/v1/plans/{PLAN.id}/months/{MONTH}", "")):
            answer = self._office.planning.get(path, headers=self._headers)
            assert answer.status_code == 200, answer.text
            permitted |= {prefix + act for act in answer.json()["may"]}
        return permitted

    def does(self, act: str, **about: Any) -> str:
        """Do something; return `done`, or the code by which it was refused."""
        if act in ("close", "restate"):
            path = f"/v1/plans/{PLAN.id}/months/{MONTH}/{act}"
            sent: Any = {"by": "计划科", "source": self.source} | (
                {"request_no": about["number"]} if act == "restate" else {}
            )
            answer = self._office.planning.post(path, json=sent, headers=self._headers)
        else:
            name, subject, data = self._report_of(act, **about)
            report = envelope(f"planning.{name}", f"d-{next(_NUMBERS)}", subject, data, district=self.district)
            report |= {"time": datetime.now(UTC).isoformat(), "source": self.source}
            answer = self._office.planning.post("/v1/events", json=report, headers=self._headers | STRUCTURED)
        receipt = answer.json()
        if answer.status_code == 403:
            assert problem(answer, 403)
            return "forbidden"
        if receipt["status"] == "accepted":
            return "done"
        refused(receipt, receipt["reasons"][0]["code"])
        code: str = receipt["reasons"][0]["code"]
        return code

    def _report_of(self, act: str, **about: Any) -> tuple[str, str, dict[str, Any]]:
        on = {"effective_from": "2024-07-01", "by": "计划科", "why": "试"}
        month = {"plan": PLAN.id, "month": MONTH, "by": "计划科"}
        own, district = f"month/{PLAN.id}/{MONTH}", SIX[0]
        match act:
            case "targets:adopt":
                adopted = {"document": document_of(PLAN), "sha256": PLAN.digest}
                return "plan-adopted", f"plan/{PLAN.id}", {"plan": PLAN.id, **adopted, **on}
            case "targets:revise":
                data = {"plan": PLAN.id, "indicator": "4.1.b", "op": ">=", "value": 1000 + next(_NUMBERS)}
                return "target-revised", f"target/{PLAN.id}/4.1.b", data | on
            case "targets:split":
                data = {"plan": PLAN.id, "indicator": "1.3.a", "period": "2024", "over": "districts"}
                parts = {"parts": dict.fromkeys(SIX, 500)}
                return "target-split", f"split/{PLAN.id}/1.3.a/2024/districts", data | parts | on
            case "submit":
                return "period-submitted", f"{own}/{self.district}", month
            case "return":
                seen_to = {"submitted_by": district, "items": ["4.1.b"], "message": "请核对"}
                return "period-returned", f"{own}/{district}", month | seen_to
            case "approve":
                return "period-approved", f"{own}/{district}", month | {"submitted_by": district}
            case "override":
                return "close-overridden", own, month | {"districts": SIX, "why": "试"}
            case "request-restatement":
                return "restatement-requested", f"restatement/{PLAN.id}/{MONTH}/R-{next(_NUMBERS)}", month | {
                    "by": "他", "why": "补",
                }  # fmt: skip
            case _:
                return "report-retracted", about["subject"], {"report_id": about["report_id"], "reason": "试"}


_NUMBERS = itertools.count(1)
_RIGHTS = {"forbidden", "not-your-source", "wrong-district", "only-the-city"}


def taken_back(desk: Desk, facts: list[dict[str, Any]], prefix: str = "") -> bool:
    """Try to take back each of what was said through somebody's source; `may` says whether one of them can be."""
    permitted = f"{prefix}withdraw" in desk.may()
    own = [fact for fact in facts if fact["reportsource"] == desk.source]
    outcomes = {desk.does("withdraw", subject=fact["subject"], report_id=fact["reportid"]) for fact in own}
    assert permitted is ("done" in outcomes), (desk.source, outcomes, own)
    return permitted


@pytest.mark.timeout(400)
def test_what_the_api_says_that_somebody_may_do_is_what_is_let_through(system: System, tmp_path: Path) -> None:
    """Every role tries every act as the month goes on: `may` names an act if and only if it is accepted."""
    book = KeyFile(tmp_path / "keys.json", "5e" * 32)
    book.create()
    service = book.add(Role.SERVICE)[1]
    keys = {"SKILLPLAN_KEYS": str(tmp_path / "keys.json"), "SKILLPLAN_KEY_PEPPER": "5e" * 32}
    office = PlanOffice(system, **keys, SKILLPLAN_API_KEY=service)
    city, own = f"/districts/{OFFICE}/plan-office", f"/districts/{SIX[0]}/statistics"

    def desk(role: Role, source: str, *prefixes: str) -> Desk:
        return Desk(office, book.add(role, prefixes)[1], source)

    desks = {
        "reader": desk(Role.READER, city),
        "operator": desk(Role.OPERATOR, city),
        "auditor": desk(Role.AUDITOR, own),
        "service": desk(Role.SERVICE, city),
        "city body": desk(Role.DISTRICT, city, f"/districts/{OFFICE}/"),
        "planner of a district": desk(Role.PLANNER, f"/districts/{SIX[1]}/x", f"/districts/{SIX[1]}/"),
        "neighbour": desk(Role.DISTRICT, f"/districts/{SIX[2]}/statistics", f"/districts/{SIX[2]}/"),
        "another system": desk(Role.DISTRICT, f"/districts/{SIX[0]}/x", f"/districts/{SIX[0]}/x"),
        "district": desk(Role.DISTRICT, own, own),
        "planner": desk(Role.PLANNER, city, city),
    }
    named = book.add(Role.PLANNER, (city,), "王科长")[1]
    office.planning.headers["authorization"] = f"Bearer {service}"
    office.projection.headers["authorization"] = f"Bearer {service}"

    def everybody(act: str, **about: Any) -> set[str]:
        """Have everybody try it, one after the other; return whom the rights allow it, whether it could be done or not.

        `may` agrees with what happens each time.
        """
        outcomes = {}
        for name, desk in desks.items():
            permitted = act in desk.may()
            outcomes[name] = desk.does(act, **about)
            assert permitted is (outcomes[name] == "done"), (act, name, outcomes[name], desk.may())
        return {name for name, became in outcomes.items() if became not in _RIGHTS}

    def facts() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = office.planning.get("/v1/log").json()["facts"]
        return listed

    reporters = {"city body", "planner of a district", "neighbour", "another system", "district", "planner"}
    for act in ("targets:adopt", "targets:revise", "targets:split"):
        assert everybody(act) == {"planner"}
    assert everybody("approve") == {"planner"}
    assert everybody("submit") == reporters
    assert office.head() == 3 + 4, "each district once, the city once"
    for act, who in (
        ("return", {"planner"}),
        ("submit", reporters),
        ("approve", {"planner"}),
        ("override", {"planner"}),
    ):
        assert everybody(act) == who
    targets = [fact for fact in facts() if not fact["subject"].startswith("month/")]
    assert {name for name, desk in desks.items() if taken_back(desk, targets, "targets:")} == {"planner"}
    month = [fact for fact in facts() if fact["subject"].startswith("month/")]
    assert {name for name, desk in desks.items() if taken_back(desk, month)} == {
        "planner of a district", "neighbour", "another system", "planner",
    }  # fmt: skip
    for act in ("override", "close"):
        assert everybody(act) == {"planner"}
    assert {name for name, desk in desks.items() if taken_back(desk, month)} == set()
    assert everybody("request-restatement") == reporters
    requests = [fact for fact in facts() if fact["subject"].startswith("restatement/")]
    assert everybody("restate", number=requests[0]["subject"].rpartition("/")[2]) == {"planner"}
    assert [request["reportedby"] for request in requests] == [
        desk.key_id for name, desk in desks.items() if name in reporters
    ]
    own_request = next(request for request in requests if request["reportedby"] == desks["planner"].key_id)
    number = own_request["subject"].rpartition("/")[2]
    assert desks["planner"].does("restate", number=number) == "own-request"  # F9a: under another name, by the same key
    # The city body takes back the planner's request, too: both speak through one source.
    assert {name for name, desk in desks.items() if taken_back(desk, requests)} == reporters - {"planner"}
    commands_decide_under_the_name_of_the_key(office, named)
    check_log(system, "planning")


def commands_decide_under_the_name_of_the_key(office: PlanOffice, key: str) -> None:
    for value, (given, by) in enumerate((((), "王科长"), (("--by", "李科长"), "李科长")), 1500):
        done = office.run("revise", "4.1.b", f">={value}", "--from", "2025-01-01", "--why", "试", *given, key=key)
        assert done.returncode == 0, done.stdout + done.stderr
        indicators = office.planning.get(f"/v1/plans/{PLAN.id}").json()["indicators"]
        (history,) = [each["history"] for each in indicators if each["id"] == "4.1.b"]
        assert max(history, key=lambda change: change["position"])["by"] == by


class OtherLogs(BaseHTTPRequestHandler):
    """What services that are not running here would answer of their empty logs: where they stand, and a checkpoint."""

    cosigned: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        log = self.path.split("/")[1]
        text = '{"position": 0}' if "/log/head" in self.path else self.cosigned[log]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def a_close_waits_for_witnesses(office: PlanOffice, folder: Path) -> None:
    """RULES F8b: with witnesses away a close says whose cosignature is missing, deciding goes on; then it closes."""
    system, month = office.system, "2024-05"
    log_keys = [LogSigner("recruitment", bytes.fromhex(LOG_KEY)).verifier_key]
    witnesses = [CosigningWitness(folder / name, f"{name}.example", log_keys) for name in ("a", "b")]
    keys = [witness.key for witness in witnesses]
    entries = [f'{{name: {{zh: 见证{at}, en: W{at}}}, key: "{key.verifier_key}"}}' for at, key in enumerate(keys)]
    block = f"\nwitnesses: {{needed: 2, of: [{', '.join(entries)}]}}\nseries:"
    (folder / "plans").mkdir()
    asks = FILE.read_text(encoding="utf-8").replace("\nseries:", block)
    (folder / "plans" / FILE.name).write_text(asks, encoding="utf-8")
    for log in ("enrollment", "competition", "subsidy"):
        note = LogSigner(log, b"k" * 32).checkpoint(0, hashlib.sha256().digest())
        text = read_checkpoint(note).text
        OtherLogs.cosigned[log] = note + "".join(key.cosign(text, 1_700_000_000) for key in keys)
    override: dict[str, Any] = {"plan": PLAN.id, "month": month, "districts": SIX, "by": "分管领导", "why": "试"}
    assert office.tell("close-overridden", f"month/{PLAN.id}/{month}", **override)["status"] == "accepted"
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), OtherLogs)) as others:
        addresses = {log: f"{others}/{log}" for log in OtherLogs.cosigned}
        addresses["recruitment"] = system.the("recruitment", "api").url
        for command in ("api", "worker"):
            process = system.the("planning", command)
            process.kill(15)
            process.settings |= {
                "SKILLPLAN_PLANS": str(folder / "plans"), "SKILLPLAN_SERVICES": json.dumps(addresses),
            }  # fmt: skip
            process.constants = {"services.planning.api.witnesses._PATIENCE": 1.0}
            process.start()
        close = f"/v1/plans/{PLAN.id}/months/{month}"
        away = problem(office.planning.post(f"{close}/close", json={"by": "计划科"}), 503)
        assert ("recruitment 的日志有 0 份" in away["zh"], "without W0, W1" in away["en"]) == (True, True), away
        state = office.planning.get(close).json()
        assert (state["state"], state["witnesses"]["needed"], state["witnesses"]["enough"]) == ("open", 2, False)
        assert "见证0、见证1" in state["witnesses"]["zh"]
        done = office.run("--json", "close", month, "--by", "计划科")
        assert (done.returncode, "W0, W1" in done.stderr) == (3, True), done.stderr
        office.hire(900, "2024-05-20")  # deciding goes on
        with contextlib.ExitStack() as stack:
            urls = [stack.enter_context(serving(server_of(witness, "127.0.0.1", 0))) for witness in witnesses]
            worker = system.the("recruitment", "worker")
            worker.kill(15)
            worker.settings["SKILLPLAN_WITNESSES"] = " ".join(
                f"{url}/#{key.verifier_key}" for url, key in zip(urls, keys, strict=True)
            )
            worker.settings["SKILLPLAN_PLANS"] = str(folder / "plans")
            worker.start()
            eventually(lambda: office.planning.get(close).json()["witnesses"]["enough"])
            # On a slow machine the witnesses may be behind for longer than one close waits.
            eventually(
                lambda: office.planning.post(f"{close}/close", json={"by": "计划科"}).json()["status"] == "accepted"
            )
    state = office.planning.get(close).json()
    assert (state["state"], state["witnesses"]["enough"]) == ("closed", True)
    both = [{"zh": "见证0", "en": "W0"}, {"zh": "见证1", "en": "W1"}]
    assert all(log["by"] == both for log in state["witnesses"]["logs"])
    for witness in witnesses:
        witness.close()
    evidence_is_checked_offline(office, month, folder)


def evidence_command() -> str:
    """Return the auditor's page's command for an evidence pack."""
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^skillplan evidence .*$", text, re.MULTILINE)
    return str(command)


def evidence_is_checked_offline(office: PlanOffice, month: str, folder: Path) -> None:
    """The pack of a closed month: its page finds a changed digit and nothing else; again it is the same bytes."""
    office.counted()
    services = {name: office.system.the(name, "api").url for name in ("recruitment", "planning")}
    environment = {"SKILLPLAN_SERVICES": json.dumps(services), "SKILLPLAN_PROJECTION": str(office.projection.base_url)}
    packs = [folder / "pack.zip", folder / "again.zip", folder / "changed.zip"]
    for pack in packs[:2]:
        given = {"$PLAN": PLAN.id, "$MONTH": month, "pack.zip": str(pack)}
        arguments = [given.get(each, each) for each in shlex.split(evidence_command())[1:]]
        done = fork_server().run("client", arguments, environment, 200)
        assert done.returncode == 0, done.stderr
    made = packs[0].read_bytes()
    assert made == packs[1].read_bytes()
    with zipfile.ZipFile(packs[0]) as pack_:
        code = pack_.read("code.txt").decode()
        assert code_in_svg(pack_.read("code.svg").decode()) == code
    closing = office.projection.get(f"/v1/plans/{PLAN.id}/closings/{month}").json()
    briefing = office.projection.get(f"/v1/plans/{PLAN.id}/briefing", params={"month": month, "format": "json"}).json()
    assert code == closing["code"]["text"] == briefing["published"]["code"]
    lines = dict(line.split(" ", 1) for line in code.splitlines() if not line.startswith("log "))
    assert (lines["month"], lines["sha256"], lines["known_at"]) == (month, closing["sha256"], closing["known_at"])
    assert code.count("\nlog ") == 4
    subject = b'"subject":"hire/C-900"'
    assert subject in made
    packs[2].write_bytes(made.replace(subject, b'"subject":"hire/C-901"'))
    script, page = ROOT / "tests" / "harness" / "check_pack.mjs", ROOT / "client" / "audit" / "check.html"
    ran = subprocess.run(
        ["node", str(script), str(page), str(packs[0]), str(packs[2])], capture_output=True, timeout=120, check=True
    )
    first, changed = map(json.loads, ran.stdout.splitlines())
    assert (first["findings"], first["open"], first["month"]) == ([], [], month), first
    assert first["facts"] > 1
    assert "的事实有改动:hire/C-900" in changed["findings"][0]["zh"], changed
