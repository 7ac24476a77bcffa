"""The read API as its users expect it: kept answers, tables as CSV, pages, packed, in their language."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx
import openpyxl
import orjson
import pytest
from jsonschema import Draft202012Validator

from services.catalogue import DOMAIN_SERVICES
from shared.http.openapi import EXAMPLES
from tests.conftest import ROOT
from tests.e2e import examples
from tests.e2e.conftest import PLAN, counted
from tests.harness.processes import eventually
from tests.harness.reports import person_hired

AS_OF = "2025-06-30"
TABLES = (
    "progress", "behind", "outlook", "measures", "districts", "indicators/4.1.b/months", "indicators/4.1.b/districts",
)  # fmt: skip


def _get(
    addresses: dict[str, str], path: str, headers: dict[str, str] | None = None, **parameters: str
) -> httpx.Response:
    return httpx.get(
        f"{addresses['projection']}/v1/plans/{PLAN}/{path}",
        params={"as_of": AS_OF, **parameters},
        headers=headers,
        timeout=30,
    )


def _rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.mark.parametrize("path", TABLES)
def test_an_answer_that_has_not_changed_is_not_sent_again(addresses: dict[str, str], path: str) -> None:
    first = _get(addresses, path)
    again = _get(addresses, path, {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = _get(addresses, path, {"If-None-Match": first.headers["etag"]}, as_of="2025-05-31")
    assert other.status_code == 200


@pytest.mark.parametrize("path", TABLES)
def test_every_table_is_to_be_had_as_csv(addresses: dict[str, str], path: str) -> None:
    answer = _get(addresses, path, format="csv")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    rows = _rows(answer)
    for row in rows:
        assert None not in row.values()
        assert set(row) == set(rows[0])
    # The same columns where nothing is in the table, or nothing where there was an object.
    header = answer.text.splitlines()[0]
    others: tuple[dict[str, str], ...] = ({"district": "330681"}, {"as_of": "2022-06-30"})
    for other in others:
        if "district" not in other or not path.endswith("districts"):
            assert _get(addresses, path, None, format="csv", **other).text.splitlines()[0] == header


def test_the_csv_of_progress_holds_what_its_json_holds(addresses: dict[str, str]) -> None:
    progress: dict[str, Any] = _get(addresses, "progress").json()
    wanted = [
        (row["id"], period["period"], "" if period["value"] is None else str(period["value"]), period["signal"])
        for row in progress["indicators"]
        for period in row["periods"]
    ]
    rows = _rows(_get(addresses, "progress", format="csv"))
    assert [(row["id"], row["period"], row["value"], row["signal"]) for row in rows] == wanted


def test_the_csv_of_receipts_holds_all_that_are_asked_for(addresses: dict[str, str]) -> None:
    url = f"{addresses['projection']}/v1/districts/330681/receipts"
    questions: tuple[dict[str, str], ...] = ({}, {"status": "refused"}, {"status": "refused", "code": "no-such-code"})

    def agree(filters: dict[str, str]) -> bool:
        statuses: dict[str, int] = httpx.get(url, params=filters, timeout=20).json()["counts"]["statuses"]
        rows = _rows(httpx.get(url, params=filters | {"format": "csv"}, timeout=20))
        return Counter(row["status"] for row in rows) == statuses

    # Asked again: another report may come between the two.
    eventually(lambda: all(agree(filters) for filters in questions))
    page = _rows(httpx.get(url, params={"format": "csv", "limit": "2"}, timeout=20))
    receipts = httpx.get(url, params={"limit": "2"}, timeout=20).json()["receipts"]
    assert [row["codes"] for row in page] == ["; ".join(each["code"] for each in row["reasons"]) for row in receipts]
    refused = {"status": "refused", "limit": "20"}
    receipts = httpx.get(url, params=refused, timeout=20).json()["receipts"]
    sheet = _sheet(httpx.get(url, params=refused | {"format": "xlsx", "lang": "zh"}, timeout=20))
    assert [row["报告编号"] for row in sheet] == [row.get("id") for row in receipts]
    assert {row["结果"] for row in sheet} == {"不予受理"}


def _sheet(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of an XLSX of one sheet by its titles."""
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    titles, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(map(str, titles), row, strict=True)) for row in rows]


def test_the_csv_of_health_says_how_far_each_log_is_counted(addresses: dict[str, str]) -> None:
    def agree() -> bool:
        reached = {service: log["position"] for service, log in counted(addresses)["complete_to"].items()}
        url = f"{addresses['projection']}/v1/plans/{PLAN}/logs"
        rows = _rows(httpx.get(url, params={"format": "csv"}, timeout=20))
        sheet = _sheet(httpx.get(url, params={"format": "xlsx", "lang": "en"}, timeout=20))
        assert sorted(row["Service"].partition("(")[2] for row in sheet) == sorted(f"{name})" for name in reached)
        counts = sorted(row["Facts counted"] for row in sheet)
        is_same = {row["service"]: int(row["position"]) for row in rows} == reached
        return len(reached) > 1 and is_same and counts == sorted(reached.values())

    eventually(agree)  # asked again: another report may come between the two


def test_facts_come_page_by_page_or_whole_and_their_sum_is_the_cell(addresses: dict[str, str]) -> None:
    path = "indicators/4.1.b/facts"
    whole = _get(addresses, path, period="2024").json()
    assert sum(fact["numerator"] for fact in whole["facts"]) == whole["numerator"] > 10
    assert whole["next"] is None
    pages: list[Any] = []
    after: str | None = "0"
    while after is not None:
        page = _get(addresses, path, period="2024", known_at=whole["known_at"], limit="7", after=after).json()
        assert page["numerator"] == whole["numerator"]
        pages += page["facts"]
        after = page["next"]
    assert pages == whole["facts"]
    rows = _rows(_get(addresses, path, period="2024", known_at=whole["known_at"], format="csv"))
    assert [row["id"] for row in rows] == [fact["id"] for fact in pages]


def test_facts_are_listed_with_their_numbers_as_numbers_and_money_in_yuan(addresses: dict[str, str]) -> None:
    for indicator, period, title, unit in (
        ("4.1.b", "2024", "计入(人)", 1), ("2.2.a", "plan", "计入(元)", 100), ("3.2.b", "plan", "分子", 1)
    ):  # fmt: skip
        path = f"indicators/{indicator}/facts"
        whole = _get(addresses, path, period=period).json()
        answer = _get(addresses, path, period=period, known_at=whole["known_at"], format="xlsx", lang="zh")
        rows = _sheet(answer)
        assert [row["报告编号"] for row in rows] == [fact["report_id"] for fact in whole["facts"]]
        assert sum(round(row[title] * unit) for row in rows) == whole["numerator"] > 0
        assert [f"{row['计入自']:%Y-%m-%d}" for row in rows] == [fact["counted_on"] for fact in whole["facts"]]
        assert len({row["区县"] for row in rows}) > 1
        again = _get(addresses, path, period=period, known_at=whole["known_at"], format="xlsx", lang="zh")
        assert again.content == answer.content


def test_a_closed_month_is_listed_as_its_page_has_it(addresses: dict[str, str], closed_month: str) -> None:
    listed = httpx.get(_of_plan(addresses, "closings"), timeout=20).json()["months"]
    published = [(month["month"], it["sha256"]) for month in listed for it in month["published"]]
    rows = _sheet(httpx.get(_of_plan(addresses, "closings"), params={"format": "xlsx", "lang": "zh"}, timeout=20))
    assert [(row["月份"], row["摘要(SHA-256)"]) for row in rows] == published
    path = f"closings/{closed_month}"
    figures = httpx.get(_of_plan(addresses, path), timeout=20).json()["figures"]
    rows = _sheet(httpx.get(_of_plan(addresses, path), params={"format": "xlsx", "lang": "en"}, timeout=20))
    assert [row["Indicator"].partition(" ")[0] for row in rows] == [figure["indicator"] for figure in figures]
    plain = {row["Indicator"].partition(" ")[0]: row for row in rows if row["Unit"] == "persons"}
    values = {figure["indicator"]: figure.get("value") for figure in figures if figure["indicator"] in plain}
    assert {name: row["Published"] for name, row in plain.items()} == values != {}
    yuan = {row["Indicator"].partition(" ")[0]: row["Published"] for row in rows if row["Unit"] == "yuan"}
    assert yuan == {it["indicator"]: it["value"] / 100 for it in figures if it["indicator"] in yuan} != {}


def test_notes_are_listed_as_they_were_written(addresses: dict[str, str]) -> None:
    notes = httpx.get(_of_plan(addresses, "notes"), timeout=20).json()["notes"]
    rows = _sheet(httpx.get(_of_plan(addresses, "notes"), params={"format": "xlsx", "lang": "zh"}, timeout=20))
    assert [(row["原因"], row["下一步"]) for row in rows] == [(note["cause"], note["next_step"]) for note in notes]


def test_months_are_listed_as_the_chart_has_them(addresses: dict[str, str]) -> None:
    for indicator, period, unit in (("4.1.b", "2024", 1), ("2.2.a", "plan", 100)):
        path = f"indicators/{indicator}/months"
        months = _get(addresses, path, period=period).json()["months"]
        rows = _sheet(_get(addresses, path, period=period, format="xlsx", lang="en"))
        assert [row["Month"] for row in rows] == [month["month"] for month in months] != []
        assert [round(row["At its end"] * unit) for row in rows] == [month["cumulative"] for month in months]


def _of_plan(addresses: dict[str, str], path: str) -> str:
    return f"{addresses['projection']}/v1/plans/{PLAN}/{path}"


def test_a_log_comes_page_by_page_without_a_gap(addresses: dict[str, str]) -> None:
    after: str | None = "0"
    positions: list[int] = []
    while after is not None:
        parameters = {"after": after, "limit": "100"}
        page = httpx.get(f"{addresses['recruitment']}/v1/log", params=parameters, timeout=10).json()
        positions += [fact["position"] for fact in page["facts"]]
        after = page["next"]
    assert positions == list(range(1, len(positions) + 1))
    assert len(positions) > 100


def test_a_long_answer_comes_packed_to_who_takes_it(addresses: dict[str, str]) -> None:
    packed = _get(addresses, "progress", {"Accept-Encoding": "gzip"})
    plain = _get(addresses, "progress", {"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json()["indicators"] == plain.json()["indicators"]
    assert int(packed.headers["content-length"]) * 4 < len(plain.content)


def test_the_head_of_an_answer_is_to_be_had_alone(addresses: dict[str, str]) -> None:
    plan = f"/v1/plans/{PLAN}"
    paths = ("/", "/docs", "/readyz", "/v1/plans", plan, f"{plan}/stream", "/v1/plans/none", "/nowhere")
    with httpx.Client(base_url=addresses["projection"], timeout=10) as client:
        for path in paths:  # one connection: what is left of an answer would be taken for the next one
            head = client.head(path)
            with client.stream("GET", path) as whole:
                assert head.status_code == whole.status_code, path
                for name in ("content-type", "content-length"):
                    assert head.headers.get(name) == whole.headers.get(name), (path, name)
            assert head.content == b""


@pytest.mark.parametrize(("accepted", "says"), [("zh-CN", "{zh}"), ("en-GB, zh;q=0.5", "{en}"), ("fr", "{zh} {en}")])
def test_an_error_is_told_in_the_language_asked_for(addresses: dict[str, str], accepted: str, says: str) -> None:
    for base, path in ((addresses["projection"], "/v1/plans/none"), (addresses["recruitment"], "/nowhere")):
        problem = httpx.get(base + path, headers={"Accept-Language": accepted}).json()
        assert problem["title"] == problem["detail"] == says.format_map(problem)


def test_every_route_answers_as_its_description_says(addresses: dict[str, str]) -> None:
    exchanges = {service: _ask_all(addresses[service], examples.of_a_service(service)) for service in DOMAIN_SERVICES}
    closed = f"{addresses['projection']}/v1/plans/{PLAN}/closings/{examples.MONTH}"
    eventually(lambda: httpx.get(closed, timeout=10).is_success)
    exchanges["projection"] = _ask_all(addresses["projection"], examples.of_the_projection())
    exchanges["gateway"] = _ask_all(addresses["gateway"], examples.of_the_gateway())
    for name, each in exchanges.items():
        described = httpx.get(f"{addresses[name]}/openapi.json", timeout=10).json()
        if os.environ.get("RECORD"):
            routes = examples.records(each).items()
            lines = (f"{orjson.dumps(route).decode()}: {orjson.dumps(seen).decode()}" for route, seen in routes)
            (EXAMPLES / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
            continue  # it is held to what was recorded when it has started anew
        components = {"components": examples.strict(described["components"])}
        for ask, answer in each:
            method, _, path = ask.route.partition(" ")
            response = described["paths"][path][method.lower()]["responses"][str(answer.status_code)]
            schema = examples.strict(response["content"][examples.media_of(answer)]["schema"])
            if (body := examples.body_of(answer)) is not None:
                valid = Draft202012Validator(schema | components)
                assert [fault.message[:300] for fault in valid.iter_errors(body)] == [], (ask.route, ask.given)


def test_a_district_hears_its_receipts_over_http_and_follows_them(addresses: dict[str, str]) -> None:
    report = person_hired("cli-1")
    arguments = _receipts(addresses, "--district", report["district"], "--follow")
    with subprocess.Popen(**arguments) as following:
        assert following.stdout is not None
        assert httpx.post(f"{addresses['recruitment']}/v1/events", json=report, timeout=10).is_success
        heard = next(receipt for line in following.stdout if (receipt := json.loads(line)).get("id") == report["id"])
        following.send_signal(signal.SIGINT)
    assert heard["status"] == "accepted"
    done = subprocess.run(**_receipts(addresses, "--district", report["district"], "--status", "refused"), check=True)
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {receipt["status"] for receipt in receipts} == {"refused"}
    assert len({(receipt["source"], receipt["id"]) for receipt in receipts}) == len(receipts)
    assert all(reason["fix"]["zh"] for receipt in receipts for reason in receipt["reasons"])
    for wrong in (("--district", "000000"), ("--status", "lost"), ("--key", "x")):
        refused = subprocess.run(**_receipts(addresses, *wrong), check=False)
        assert refused.returncode == 2


def _receipts(addresses: dict[str, str], *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "client", "receipts", "--http", "--json", *options]
    environment = {"SKILLPLAN_PROJECTION": addresses["projection"]}
    return {"args": command, "env": os.environ | environment, "cwd": ROOT, "stdout": subprocess.PIPE, "text": True}


def _ask_all(base: str, asks: Iterable[examples.Ask]) -> list[tuple[examples.Ask, httpx.Response]]:
    exchanges = [(ask, ask.of(base)) for ask in asks]
    others = [(ask.route, ask.given, answer.text) for ask, answer in exchanges if answer.status_code != ask.status]
    assert others == []
    return exchanges


def test_pages_of_other_origins_are_not_let_in_unless_named(addresses: dict[str, str]) -> None:
    answer = _get(addresses, "progress", {"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
