"""What each role sees of its own and of another district's on every route that there is (RULES G6)."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from services.catalogue import DOMAIN_SERVICES
from shared.http.api_keys import KeyFile, Role
from tests.harness.apis import app_of, routes_with_keys
from tests.harness.plan_office import FILE, MONTH, OFFICE, PLAN, SIX, STRUCTURED, PlanOffice
from tests.harness.processes import System, eventually
from tests.harness.reports import organisation, person
from tests.harness.reports import report as envelope

OWN, OTHER = SIX[:2]
YAML: Final = {"content-type": "application/yaml"}
INDICATOR: Final = "4.1.b"
HIRED: Final = "skillplan.recruitment.person-hired.v1"
PLACES: Final = {"plan": PLAN.id, "type_": HIRED, "indicator": INDICATOR, "month": MONTH, "level": "0",
                 "name": "recruitment.person-hired.v1.json", "number": "000.p/1", "service": "recruitment",
                 "what": "key"}  # fmt: skip
LOGGED: Final = ("recruitment", "planning")
# Every route of the services and of the gateway, with the queries that differ in what they list. A route that is not
# here, or is not asked by GET and is not in SENT, fails.
ROUTES: Final[dict[str, list[dict[str, str]]]] = {
    "/asyncapi.yaml": [{}],
    "/schemas": [{}],
    "/schemas/{name}": [{}],
    "/v1/forms": [{}],
    "/v1/forms/{type_}": [{}],
    "/v1/session": [{}],
    "/v1/tables/check": [],
    "/v1/tables/marked": [],
    "/v1/types": [{}],
    "/v1/events": [],
    "/v1/validate": [],
    "/v1/would-count": [],
    "/v1/receipts/query": [{"source": f"/districts/{code}/MARK{code}", "id": "-"} for code in (OWN, OTHER)],
    "/v1/log": [{}, {"format": "ndjson"}],
    "/services/{service}/v1/log": [{}, {"format": "ndjson"}],
    "/services/{service}/v1/log/{what}": [{}],
    "/v1/log/head": [{}],
    "/v1/log/sandbox": [{}],
    "/v1/difference": [{}],
    "/v1/sandbox/{plan}/progress": [{}, {"district": OTHER}],
    "/v1/log/key": [{}],
    "/v1/log/checkpoint": [{}],
    "/v1/log/tile/{level}/{number}": [{}],
    "/v1/log/tile/entries/{number}": [{}],
    "/v1/log/proof": [{"position": "1"}],
    "/v1/log/consistency": [{"old": "1"}],
    "/v1/receipts": [
        {"source": f"/districts/{code}/MARK{code}", "id": f"MARK{code}-{number}"}
        for code in (OWN, OTHER)
        for number in (1, 3)
    ],
    "/v1/receipts/report": [
        {"source": f"/districts/{code}/MARK{code}", "id": f"MARK{code}-{number}"}
        for code in (OWN, OTHER)
        for number in (1, 3)
    ],
    "/v1/districts/{district}/receipts": [
        {}, {"type": HIRED}, {"format": "csv"}, {"format": "csv", "limit": "1"}, {"format": "xlsx"}
    ],
    "/v1/plans": [{}],
    "/v1/plans/{plan}": [{}],
    "/v1/plans/{plan}/targets": [{}],
    "/v1/plans/{plan}/targets/workbook": [{}],
    "/v1/plans/{plan}/months/{month}": [{}],
    "/v1/plans/{plan}/diff": [],
    "/v1/plans/{plan}/months/{month}/close": [],
    "/v1/plans/{plan}/months/{month}/restate": [],
    "/v1/plans/{plan}/progress": [{}, {"format": "csv"}, {"district": OTHER}],
    "/v1/plans/{plan}/indicators/{indicator}/months": [
        {"period": "2024"}, {"period": "2024", "format": "csv"}, {"period": "2024", "format": "xlsx"}
    ],
    "/v1/plans/{plan}/indicators/{indicator}/facts": [
        {"period": "2024", **format_, **limit, **place}
        for format_ in ({}, {"format": "csv"}, {"format": "xlsx"})
        for limit in ({}, {"limit": "1"}, {"limit": "500"})
        for place in ({}, {"district": OWN}, {"district": OTHER}, {"month": MONTH})
    ],
    "/v1/plans/{plan}/indicators/{indicator}/changes": [
        {"period": "2024"}, {"period": "2024", "district": OTHER}, {"period": "2024", "limit": "1", "after": "1"}
    ],
    "/v1/plans/{plan}/indicators/{indicator}/districts": [{"period": "2024"}, {"period": "2024", "format": "csv"}],
    "/v1/plans/{plan}/behind": [{}, {"format": "csv"}],
    "/v1/plans/{plan}/outlook": [{}, {"format": "csv"}],
    "/v1/plans/{plan}/measures": [{}, {"format": "csv"}],
    "/v1/plans/{plan}/districts": [{}, {"format": "csv"}],
    "/v1/plans/{plan}/briefing": [
        {"month": MONTH, "format": format_, "facts": "true", **place}
        for format_ in ("html", "pdf", "xlsx", "docx", "json")
        for place in ({}, {"district": OTHER})
    ],
    "/v1/plans/{plan}/figures": [{"month": MONTH}],
    "/v1/plans/{plan}/closings": [{}, {"format": "csv"}, {"format": "xlsx"}],
    "/v1/plans/{plan}/logs": [{}, {"format": "csv"}, {"format": "xlsx"}],
    "/v1/plans/{plan}/notes": [{}, {"format": "csv"}, {"format": "xlsx"}, {"district": OTHER}],
    "/v1/plans/{plan}/closings/{month}": [{}, {"district": OTHER}, {"format": "csv"}, {"format": "xlsx"}],
    "/v1/plans/{plan}/stream": [{}],
}  # fmt: skip
# Where whoever sees all sees the subject, source or id of what a district reported.
ASKED_BY_POST: Final = {"/v1/receipts/query"}
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
JSON: Final = {"content-type": "application/json"}
XLSX: Final = {"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
LISTS: Final = {
    "/v1/log",
    "/services/{service}/v1/log",
    "/v1/receipts",
    "/v1/receipts/report",
    "/v1/receipts/query",
    "/v1/districts/{district}/receipts",
    "/v1/plans/{plan}/months/{month}",
    "/v1/plans/{plan}/indicators/{indicator}/facts",
    "/v1/plans/{plan}/indicators/{indicator}/changes",
    "/v1/plans/{plan}/briefing",
    "/v1/plans/{plan}/closings",
    "/v1/plans/{plan}/closings/{month}",
}


class Desks:
    """The key of each role, and a city in which two districts and the office have reported."""

    def __init__(self, system: System, folder: Path) -> None:
        book = KeyFile(folder / "keys.json", "5e" * 32)
        book.create()
        self.keys = {
            OWN: book.add(Role.DISTRICT, (f"/districts/{OWN}/",))[1],
            OTHER: book.add(Role.DISTRICT, (f"/districts/{OTHER}/",))[1],
            "planner": book.add(Role.PLANNER, (f"/districts/{OFFICE}/",))[1],
            **{role: book.add(Role(role))[1] for role in ("reader", "operator", "auditor", "service")},
        }
        settings = {"SKILLPLAN_KEYS": str(folder / "keys.json"), "SKILLPLAN_KEY_PEPPER": "5e" * 32}
        self.office = PlanOffice(system, **settings, SKILLPLAN_API_KEY=self.keys["service"])
        self.apis = {"recruitment": self.office.recruitment, "planning": self.office.planning}
        self.apis["projection"] = self.office.projection
        addresses = {name: system.the(name, "api").url for name in ("recruitment", "planning")}
        behind = {
            "SKILLPLAN_SERVICES": json.dumps(addresses),
            "SKILLPLAN_PROJECTION": str(self.apis["projection"].base_url),
        }
        self.apis["gateway"] = system.process("gateway", "api", **settings, **behind).start().http
        for api in self.apis.values():
            api.headers["authorization"] = f"Bearer {self.keys['service']}"

    def report(self, api: str, role: str, sent: dict[str, Any]) -> dict[str, Any]:
        headers = STRUCTURED | {"authorization": f"Bearer {self.keys[role]}"}
        receipt: dict[str, Any] = self.apis[api].post("/v1/events", json=sent, headers=headers).json()
        assert receipt["status"] == "accepted", receipt
        return receipt

    def of_district(self, code: str, number: int, type_: str, subject: str, **data: Any) -> dict[str, Any]:
        sent = envelope(type_, f"MARK{code}-{number}", subject, data, district=code)
        return sent | {"source": f"/districts/{code}/MARK{code}", "time": datetime.now(UTC).isoformat()}

    def hire(self, code: str, number: int, on: str, corrects: int | None = None) -> None:
        n = 10 * int(code) + (corrects or number)
        sent = self.of_district(
            code, number, "recruitment.person-hired", f"hire/MARK{code}-{corrects or number}", person=person(n),
            enterprise=organisation(n % 1000), channel="gold-blue-collar", occupation_code="6-18-01-01", hired_on=on,
        )  # fmt: skip
        self.report("recruitment", code, sent | ({"corrects": f"MARK{code}-{corrects}"} if corrects else {}))

    def settle(self) -> None:
        """Have two districts hire, correct and submit, the office close, and the districts report late."""
        month = {"plan": PLAN.id, "month": MONTH}
        for code in (OWN, OTHER):
            self.hire(code, 1, "2024-03-05")
            self.hire(code, 2, "2024-03-06", corrects=1)
            subject = f"month/{PLAN.id}/{MONTH}/{code}"
            self.report(
                "planning", code, self.of_district(code, 3, "planning.period-submitted", subject, **month, by="x")
            )
            subject = f"note/{PLAN.id}/{INDICATOR}/2024/{code}"
            note = {"plan": PLAN.id, "indicator": INDICATOR, "period": "2024", "of": code, "by": "x"}
            texts = {"cause": "推迟招聘", "next_step": "核定计划"}
            self.report("planning", code, self.of_district(code, 6, "planning.note-written", subject, **note, **texts))
        self.office.planning.headers["authorization"] = f"Bearer {self.keys['planner']}"
        adopted = self.office.planning.post(f"/v1/plans/{PLAN.id}/diff", content=FILE.read_bytes(), headers=YAML).json()
        self.office.tell("plan-adopted", f"plan/{PLAN.id}", plan=PLAN.id, document=adopted["document"],
                         sha256=adopted["sha256"], effective_from="2023-01-01", by="计划科")  # fmt: skip
        self.office.tell("close-overridden", f"month/{PLAN.id}/{MONTH}", **month, districts=SIX, by="主任", why="演练")
        closed = self.office.planning.post(f"/v1/plans/{PLAN.id}/months/{MONTH}/close", json={"by": "计划科"}).json()
        assert closed["status"] == "accepted", closed
        for code in (OWN, OTHER):
            self.hire(code, 4, "2024-03-20")
            subject = f"restatement/{PLAN.id}/{MONTH}/MARK{code}"
            wanted = self.of_district(code, 5, "planning.restatement-requested", subject, **month, by="y", why="补报")
            self.report("planning", code, wanted)
        self.office.planning.headers["authorization"] = f"Bearer {self.keys['service']}"
        self.office.counted()
        first = {"position": "1"}
        eventually(lambda: all(self.apis[api].get("/v1/log/proof", params=first).is_success for api in LOGGED))
        headers = {"authorization": f"Bearer {self.keys['auditor']}"}
        for code in (OWN, OTHER):  # six receipts of each
            eventually(
                lambda code=code: sum(  # type: ignore[misc]
                    self.office.projection.get(f"/v1/districts/{code}/receipts", headers=headers)
                    .json()["counts"]["statuses"].values()
                ) >= 6
            )  # fmt: skip

    def ask(self, api: str, role: str, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Return the status and every byte of the answer, unpacked where it is packed."""
        headers = {"authorization": f"Bearer {self.keys[role]}"}
        pairs = {"json": {"pairs": [query]}} if path in ASKED_BY_POST else {"params": query}
        method = "POST" if path in ASKED_BY_POST else "GET"
        with self.apis[api].stream(method, path, headers=headers, **pairs) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return answer.status_code, next(answer.iter_bytes())
            raw = answer.read()
        if raw.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(raw)) as book:
                return answer.status_code, b"\n".join(map(book.read, book.namelist()))
        return answer.status_code, raw + repr(answer.headers).encode()


def reports_on_others(sender: str, other: str, tag: str) -> list[dict[str, Any]]:
    """Return all ways to ask about a report by reporting: on its subject, under its id, as its correction, taken back.

    The sender knows that report's subject and id, and nothing else of it.
    """
    theirs = f"MARK{other}-1"
    data = {"person": person(77), "enterprise": organisation(77), "channel": "gold-blue-collar",
            "occupation_code": "6-18-01-01", "hired_on": "2024-03-05"}  # fmt: skip
    own = {"source": f"/districts/{sender}/NEW", "time": datetime.now(UTC).isoformat()}

    def made(number: int, name: str, data: dict[str, Any], **changes: str) -> dict[str, Any]:
        sent = envelope(f"recruitment.{name}", f"{tag}-{number}", f"hire/{theirs}", data, district=sender)
        return sent | own | changes

    return [
        made(1, "person-hired", data),
        made(2, "person-hired", data, source=f"/districts/{other}/MARK{other}", district=other, id=theirs),
        made(3, "person-hired", data, corrects=theirs),
        made(4, "report-retracted", {"report_id": theirs, "reason": "错报"}),
    ]


# An id of another source is an unknown one (RULES B11), so whoever names it waits.
ANSWERED: Final = [("refused", "not-yours"), ("refused", "not-your-source"), ("waiting", None), ("waiting", None)]


def bodies(sender: str, other: str, tag: str = "") -> dict[tuple[str, str], tuple[dict[str, str], bytes]]:
    """Return what is sent to every route that is not asked by GET, about a report of another district."""
    table = "合同编号,身份证号,入职日期\n" + f"MARK{other}-1,330681199001010017,2024-03-05\n"
    dropped = {"name": "t.csv", "content": base64.b64encode(table.encode()).decode(), "district": other, "type": HIRED}
    fact = {"type": HIRED, "subject": f"hire/MARK{other}-1", "district": other, "time": "2024-03-05T08:00:00+08:00",
            "data": {"channel": "gold-blue-collar", "hired_on": "2024-03-05"}}  # fmt: skip
    reports = json.dumps(reports_on_others(sender, other, tag)).encode()
    month = json.dumps({"by": "计划科", "request_no": f"MARK{other}"}).encode()
    return {
        ("POST", "/v1/validate"): (BATCH, reports),
        ("POST", "/v1/events"): (BATCH, reports),
        ("POST", "/v1/would-count"): (JSON, json.dumps({"facts": [fact]}).encode()),
        ("POST", "/v1/plans/{plan}/diff"): (YAML, FILE.read_bytes()),
        ("POST", "/v1/plans/{plan}/targets/workbook"): (XLSX, b"PK"),
        ("POST", "/v1/plans/{plan}/months/{month}/close"): (JSON, month),
        ("POST", "/v1/plans/{plan}/months/{month}/restate"): (JSON, month),
        ("POST", "/v1/tables/check"): (JSON, json.dumps(dropped).encode()),
        ("POST", "/v1/tables/marked"): (JSON, json.dumps(dropped).encode()),
        ("POST", "/v1/session"): ({}, b""),
        ("DELETE", "/v1/session"): ({}, b""),
    }


async def listed(api: str, described: dict[str, Any]) -> list[tuple[str, str]]:
    """Return method and path of every route of an api, whether or not it is described."""
    described_routes = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    plain = {(method, path.replace(":path}", "}")) for method, path in routes_with_keys(await app_of(api))}
    every = sorted(described_routes | plain)
    for method, path in every:
        assert path in ROUTES, f"a route of {api} of which this test does not say what may be seen: {path}"
        assert method != "GET" or ROUTES[path], path
        assert method == "GET" or path in ASKED_BY_POST or (method, path) in bodies(OWN, OTHER), (method, path)
    return every


async def test_every_service_of_reports_has_the_routes_that_are_looked_at() -> None:
    looked_at = set(await listed("recruitment", {"paths": {}}))
    for service in DOMAIN_SERVICES:
        assert set(await listed(service, {"paths": {}})) >= looked_at, service


def questions(api: str, routes: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    for path in sorted({path for _, path in routes}):
        if ROUTES[path]:
            for query, code in itertools.product(ROUTES[path], (OWN, OTHER) if "{district}" in path else ("",)):
                yield api, path, path.format_map(PLACES | {"district": code}), query


@pytest.mark.timeout(400)
def test_no_route_shows_a_role_more_of_others_than_it_may_see(system: System, tmp_path: Path) -> None:
    desks = Desks(system, tmp_path)
    desks.settle()
    routes = {api: asyncio.run(listed(api, client.get("/openapi.json").json())) for api, client in desks.apis.items()}
    requests = [question for api in routes for question in questions(api, routes[api])]
    assert {path for _, path, _, _ in requests} == {path for path, queries in ROUTES.items() if queries}
    seen: dict[str, dict[str, set[str]]] = {role: {OWN: set(), OTHER: set()} for role in desks.keys}
    statuses: dict[tuple[str, str], set[int]] = {}
    for role, (api, path, address, query) in itertools.product(desks.keys, requests):
        status, raw = desks.ask(api, role, address, query)
        # A service knows the receipts that it decided; the others are 404 for whoever may ask.
        assert status in (200, 403) or (status == 404 and path.startswith("/v1/receipts")), (
            role,
            address,
            query,
            raw[:300],
        )
        statuses.setdefault((role, path), set()).add(status)
        for code in (OWN, OTHER):
            if re.search(rb"MARK%s" % code.encode(), raw):
                seen[role][code].add(path)
    # Whoever answers for the whole sees both; so what is looked for below is there to be found.
    for role in ("operator", "auditor"):
        assert seen[role] == {OWN: LISTS, OTHER: LISTS}, role
    without_logs = {path for path in LISTS if not path.endswith("/v1/log")}
    assert seen["planner"] == {OWN: without_logs, OTHER: without_logs}
    assert seen[OWN] == {OWN: without_logs, OTHER: set()}
    assert seen[OTHER] == {OTHER: without_logs, OWN: set()}
    assert seen["reader"] == {OWN: set(), OTHER: set()}
    # Figures are everybody's.
    of_city = {"planner": {200}, "operator": {200}, "auditor": {200}}
    for role in desks.keys:
        assert statuses[role, "/v1/difference"] == of_city.get(role, {403}), role
    for path in ROUTES.keys() - LISTS - {"/v1/log/head", "/v1/log/sandbox", "/v1/difference"} | {
        "/v1/plans/{plan}/indicators/{indicator}/facts"
    }:
        if ROUTES[path] and not path.startswith("/v1/receipts"):
            assert all(statuses[role, path] == {200} for role in desks.keys), path
    figures_are_those_of_all_and_others_are_counted(desks)
    what_is_sent_about_others_is_answered_without_them(desks, routes)


def what_is_sent_about_others_is_answered_without_them(desks: Desks, routes: dict[str, list[tuple[str, str]]]) -> None:
    """Who reports, tries, drops a table or asks for a close learns of another's report what it sent itself, no more:

    not by what it was corrected, not on which day, not who it is about.
    """
    learned = re.compile(rb"MARK%s-[2-6]|2024-03-06|2024-03-20" % OTHER.encode())
    for api, client in desks.apis.items():
        for method, path in routes[api]:
            if method == "GET" or path in ASKED_BY_POST:
                continue
            for role, key in desks.keys.items():
                headers, body = bodies(OWN, OTHER, f"{api}-{path[-6:]}-{role}".replace("/", "."))[method, path]
                headers = headers | {"authorization": f"Bearer {key}"}
                answer = client.request(method, path.format_map(PLACES), headers=headers, content=body)
                assert answer.status_code < 500, (api, role, method, path, answer.text)
                assert not learned.search(answer.content), (api, role, method, path, answer.text)
                if role == OWN and path in ("/v1/events", "/v1/validate") and api != "planning":
                    results = answer.json()["results"]
                    codes = [it["reasons"][0]["code"] if it.get("reasons") else None for it in results]
                    assert list(zip([it["status"] for it in results], codes, strict=True)) == ANSWERED, (api, path)


def figures_are_those_of_all_and_others_are_counted(desks: Desks) -> None:
    def get(role: str, path: str, **query: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {desks.keys[role]}"}
        return desks.office.projection.get(f"/v1/plans/{PLAN.id}{path}", params=query, headers=headers)

    cell = f"/indicators/{INDICATOR}/facts"
    facts = {role: get(role, cell, period="2024").json() for role in (OWN, "planner", "reader")}
    assert [facts[role]["numerator"] for role in facts] == [4, 4, 4]
    assert [len(facts[role]["facts"]) for role in facts] == [2, 4, 0]
    reporters = {role: {fact["reportedby"] for fact in facts[role]["facts"]} for role in facts}
    ids = {code: desks.keys[code].split("_")[1] for code in (OWN, OTHER)}
    assert reporters == {OWN: {ids[OWN]}, "planner": set(ids.values()), "reader": set()}  # RULES G5
    assert facts[OWN]["others"] == [
        {"day": "2024-03-06", "type": HIRED, "count": 1},
        {"day": "2024-03-20", "type": HIRED, "count": 1},
    ]
    assert (facts["planner"]["others"], facts["reader"]["others"]) == ([], None)
    rows = get(OWN, cell, period="2024", format="csv").text.splitlines()
    assert [row.rpartition(",")[2] for row in rows] == ["count", "1", "1", "1", "1"]
    months = {
        role: desks.office.planning.get(
            f"/v1/plans/{PLAN.id}/months/{MONTH}", headers={"authorization": f"Bearer {desks.keys[role]}"}
        ).json()
        for role in (OWN, "planner")
    }
    of_other = {
        role: next(each for each in month["districts"] if each["district"] == OTHER) for role, month in months.items()
    }
    assert of_other[OWN] == {"district": OTHER, "state": "submitted", "needed": True}
    assert of_other["planner"]["by"] == "x"
    # Notes are everybody's to read; who wrote another's is not, and each writes where it may.
    notes = {role: get(role, "/notes").json() for role in (OWN, "planner", "reader", "auditor")}
    assert [len(answer["notes"]) for answer in notes.values()] == [2] * 4
    assert {note["district"]: note["reportedby"] for note in notes[OWN]["notes"]} == {OWN: ids[OWN], OTHER: None}
    assert {note["reportedby"] for note in notes["planner"]["notes"]} == set(ids.values())
    assert {note["reportedby"] for note in notes["reader"]["notes"]} == {None}
    everywhere = sorted(PLAN.district_codes)
    assert [notes[role]["may"] for role in notes] == [[OWN], everywhere, [], []]
    # A page of four facts at a time: what is not seen is counted where it stands.
    pages: list[tuple[int, int]] = []
    after: str | None = "0"
    while after:
        page = get(OWN, cell, period="2024", limit="1", after=after).json()
        pages.append((len(page["facts"]), sum(row["count"] for row in page["others"])))
        after = page["next"]
    assert sorted(pages) == [(0, 1), (0, 1), (1, 0), (1, 0)]
