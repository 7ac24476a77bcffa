"""A report that comes in by HTTP and one that comes in by Kafka take the same road (VOCABULARY 1 and 2, RULES A)."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.harness import people, topics
from tests.harness.processes import System, eventually
from tests.harness.reports import Report, organisation, person_hired
from tests.harness.reports import report as made
from tests.harness.topics import OutgoingMessage, binary, publish, settle, structured, whole

SERVICES = ("recruitment",)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
Receipt = dict[str, Any]
Send = Callable[[System, Report], Receipt]


def api(system: System) -> httpx.Client:
    return system.the("recruitment", "api").http


def post(system: System, body: object, content_type: str = STRUCTURED, **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return api(system).post("/v1/events", content=raw, headers={"content-type": content_type} | headers)


def by_http(system: System, report: Report) -> Receipt:
    return answered(post(system, report))


def by_http_as_plain_json(system: System, report: Report) -> Receipt:
    return answered(post(system, report, "application/json; charset=utf-8"))


def by_http_binary(system: System, report: Report) -> Receipt:
    attributes = {f"ce-{name}": quote(str(value)) for name, value in report.items() if name != "data"}
    return answered(post(system, report["data"], "application/json", **attributes))


def by_http_batch(system: System, report: Report) -> Receipt:
    return batch(system, [report])[0]


def by_kafka(system: System, report: Report) -> Receipt:
    return reported(system, structured(report))


def by_kafka_binary(system: System, report: Report) -> Receipt:
    return reported(system, binary(report))


DOORS = (by_http, by_http_as_plain_json, by_http_binary, by_http_batch, by_kafka, by_kafka_binary)
each_door = pytest.mark.parametrize("send", DOORS)


def answered(response: httpx.Response) -> Receipt:
    receipt: Receipt = response.json()
    expected = {"accepted": 200, "duplicate": 200, "waiting": 202}.get(receipt["status"], 422)
    assert response.status_code == expected
    assert response.headers["content-type"] == "application/json"
    return receipt


def batch(system: System, elements: list[Any]) -> list[Receipt]:
    response = post(system, elements, BATCH)
    assert response.status_code == 200
    results: list[Receipt] = response.json()["results"]
    assert len(results) == len(elements)
    return results


def reported(system: System, message: OutgoingMessage) -> Receipt:
    """Send over Kafka and return the receipt that came for it: the next one of this report on its district's topic."""
    topic = f"receipts.{message.topic.rpartition('.')[2]}"
    settle(system, "recruitment")
    before = len(whole(system.kafka, topic))
    publish(system.kafka, [message])

    def new() -> list[Receipt]:
        return [stored.json for stored in whole(system.kafka, topic)[before:]]

    receipts = eventually(new)
    assert len(receipts) == 1
    return receipts[0]


def standing(system: System, report: Report) -> Receipt:
    """Ask for the receipt as it stands now."""
    return answered_get(system, "/v1/receipts", source=report["source"], id=report["id"])


def answered_get(system: System, path: str, **parameters: object) -> dict[str, Any]:
    response = api(system).get(path, params={name: str(value) for name, value in parameters.items()})
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def codes(receipt: Receipt) -> list[str]:
    return [reason["code"] for reason in receipt["reasons"]]


def test_a_query_parameter_that_is_not_there_is_refused_and_nothing_is_decided(running: System) -> None:
    """Left unread, `dry_run` would decide for good what was only tried."""
    report = person_hired("door-dry-run")
    answer = api(running).post("/v1/events", params={"dry_run": "true"}, json=report)
    assert answer.status_code == 422
    assert "dry_run" not in answer.text
    key = {"source": str(report["source"]), "id": str(report["id"])}
    assert api(running).get("/v1/receipts", params=key).status_code == 404


@each_door
def test_the_receipt_and_the_fact_are_the_same_through_every_door(running: System, send: Send) -> None:
    report = person_hired(f"door-{send.__name__}", level="2", fair_no="F-1")
    report["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    report["unknownattribute"] = "is no error"
    reported_by = "330681" if "kafka" in send.__name__ else "open"  # RULES G5, where no credential is asked for
    receipt = send(running, report)
    known = standing(running, report)
    assert receipt == known
    assert {name: value for name, value in receipt.items() if not name.endswith("_at")} == {
        "source": report["source"],
        "id": report["id"],
        "type": report["type"],
        "subject": report["subject"],
        "district": "330681",
        "service": "recruitment",
        "status": "accepted",
        "reasons": [],
        "flags": [],
        "position": receipt["position"],
        "stream": report["subject"],
        "version": 1,
        "sha256": receipt["sha256"],
        "reportedby": reported_by,
    }
    (line,) = (
        running.the("recruitment", "api")
        .http.get("/v1/log", params={"after": receipt["position"] - 1, "limit": 1, "format": "ndjson"})
        .content.splitlines()
    )
    assert hashlib.sha256(line).hexdigest() == receipt["sha256"]
    (fact,) = answered_get(running, "/v1/log", after=receipt["position"] - 1, limit=1)["facts"]
    person = fact["data"].pop("person")
    assert fact["data"] == {name: value for name, value in report["data"].items() if name != "person"}
    assert set(person) == {"token", "sealed"}
    assert (fact["reportsource"], fact["reportid"]) == (report["source"], report["id"])
    assert fact["reportedby"] == reported_by
    assert (fact["time"], fact["traceparent"]) == (report["time"], report["traceparent"])
    assert fact["recordedat"] < receipt["decided_at"]


@each_door
def test_the_same_report_again_is_a_duplicate_with_the_first_receipt_inside(running: System, send: Send) -> None:
    report = person_hired(f"again-{send.__name__}")
    first = by_http(running, report)
    again = send(running, report)
    assert (again["status"], again["first"]) == ("duplicate", first)
    assert "position" not in again
    assert standing(running, report) == first


@each_door
def test_an_id_names_one_content_for_ever(running: System, send: Send) -> None:
    report = person_hired(f"reused-{send.__name__}")
    first = by_http(running, report)
    other = report | {"data": report["data"] | {"hired_on": "2024-03-02"}}
    for _ in range(2):
        receipt = send(running, other)
        assert (receipt["status"], codes(receipt), receipt["first"]) == ("refused", ["id-reused"], first)
    assert standing(running, report) == first


def test_the_same_content_may_be_spelt_differently(running: System) -> None:
    """RULES A4: order of keys, spaces, escapes, offsets, null and absent, spelling of a number's x and spaces."""
    index = next(n for n in range(1, 100) if people.number_of(n).endswith("X"))
    report = person_hired(index)
    first = by_http(running, report)
    person = report["data"]["person"]
    number = person["id_number"]
    spelt = report | {"time": "2024-03-01T02:00:00.000Z", "traceparent": "00-1-2-01", "corrects": None}
    spelt["data"] = dict(reversed(report["data"].items())) | {
        "person": person | {"id_number": f" {number[:6]} {number[6:].lower()} ", "id_type": "resident"},
        "level": None,
    }
    for raw in (
        json.dumps(spelt, indent=2, ensure_ascii=True).encode(),
        json.dumps(spelt, ensure_ascii=False).encode(),
    ):
        again = answered(post(running, raw))
        assert (again["status"], again["first"]) == ("duplicate", first)


def unrepaired() -> list[Any]:
    good = person_hired("x")
    bad_person = good["data"] | {"person": {"id_number": "330681199001011234"}}
    return [
        pytest.param({"data": bad_person}, "invalid", "bad-checksum", id="invalid"),
        pytest.param(
            {"type": "skillplan.enrollment.person-hired.v1"}, "misdirected", "send-to-enrollment", id="misdirected"
        ),
        pytest.param({"district": "330602"}, "refused", "wrong-district", id="wrong-district"),
    ]


@pytest.mark.parametrize("send", [by_http, by_kafka])
@pytest.mark.parametrize(("fault", "status", "code"), unrepaired())
def test_what_was_not_decided_binds_no_id(
    running: System, send: Send, fault: dict[str, Any], status: str, code: str
) -> None:
    """RULES A3: the same bytes get the same answer again, and once repaired the same id is taken."""
    report = person_hired(f"repaired-{code}-{send.__name__}")
    broken = structured(report | fault, "recruitment.reports.330681")
    for _ in range(2):
        receipt = reported(running, broken) if send is by_kafka else by_http(running, report | fault)
        assert (receipt["status"], codes(receipt)) == (status, [code])
        assert "first" not in receipt
    assert send(running, report)["status"] == "accepted"
    assert standing(running, report)["status"] == "accepted"


@pytest.mark.parametrize("spelt", [quote, lambda id_: f'"{quote(id_)}"', lambda id_: f'"{id_}"'.encode(), str.encode])
def test_the_same_event_structured_and_binary_is_the_same(running: System, spelt: Callable[[str], str | bytes]) -> None:
    """RULES A21: percent-encoded, quoted or as raw bytes, a header says what the JSON says."""
    report = person_hired(f"binary-{secrets.token_hex(4)}")
    report["id"] += "-录用"
    first = by_http(running, report)
    assert (first["status"], first["id"]) == ("accepted", report["id"])
    headers = [(b"content-type", b"application/json")]
    for name, value in report.items():
        if name not in ("data", "datacontenttype"):
            text = spelt(value) if name == "id" else value
            headers.append((f"ce-{name}".encode(), text if isinstance(text, bytes) else text.encode()))
    body = json.dumps(report["data"]).encode()
    again = api(running).post("/v1/events", content=body, headers=headers)
    assert (again.status_code, again.json()["status"], again.json()["first"]) == (200, "duplicate", first)
    latin = [(name, b"\xe9-1" if name == b"ce-id" else value) for name, value in headers]
    answer = api(running).post("/v1/events", content=body, headers=latin)
    assert (answer.status_code, codes(answer.json())) == (422, ["bad-attribute"])


def demand_matched(id_: str, demand: str, persons: int = 1, **changes: Any) -> Report:
    data = {"instrument": "agency-service", "persons": persons}
    return made("recruitment.demand-matched", id_, f"demand/{demand}", data, time="2024-03-02T10:00:00+08:00") | changes


def test_what_says_the_same_under_another_id_is_flagged(running: System) -> None:
    """RULES A23: accepted and flagged, in the receipt through both doors and when it is asked for later."""
    no = secrets.token_hex(4)
    raised = {
        "project": "项目", "enterprise": organisation(1), "occupation_code": "6-25-01-01", "persons": 9,
    }  # fmt: skip
    assert by_http(running, made("recruitment.demand-raised", f"r-{no}", f"demand/{no}", raised))["flags"] == []
    first, second, third = (demand_matched(f"m{n}-{no}", no) for n in (1, 2, 3))
    assert by_http(running, first)["flags"] == []
    flagged = by_kafka(running, second)
    assert (flagged["status"], flagged["flags"]) == ("accepted", ["same-content"])
    assert standing(running, second) == flagged
    assert by_http(running, second)["first"] == flagged
    # Other content, or the same in place of its original, says nothing again.
    assert by_http(running, demand_matched(f"m4-{no}", no, 2))["flags"] == []
    assert by_http(running, demand_matched(f"m5-{no}", no, 2, corrects=f"m4-{no}"))["flags"] == []
    for n, taken_back in enumerate((first, second)):
        undo = {"report_id": taken_back["id"], "reason": "重复"}
        assert by_http(running, made("recruitment.report-retracted", f"u{n}-{no}", f"demand/{no}", undo))["flags"] == []
    assert by_http(running, third)["flags"] == []


def test_a_topic_speaks_only_for_its_district(running: System) -> None:
    report = person_hired("neighbour")
    receipt = reported(running, structured(report, "recruitment.reports.330602"))
    assert (receipt["status"], codes(receipt)) == ("refused", ["not-your-source"])
    assert by_kafka(running, report)["status"] == "accepted"


def test_a_rule_binds_the_id(running: System) -> None:
    report = person_hired("ahead", hired_on="2999-01-01")
    refused = by_http(running, report)
    assert (refused["status"], codes(refused)) == ("refused", ["in-the-future"])
    assert refused["reasons"][0]["pointer"] == "/data/hired_on"
    assert refused["reasons"][0]["zh"]
    assert refused["reasons"][0]["en"]
    assert by_http(running, report)["first"] == refused
    assert codes(by_http(running, person_hired("ahead"))) == ["id-reused"]


def test_a_batch_is_decided_in_order_each_event_on_its_own(running: System) -> None:
    good, other = person_hired("batch-1"), person_hired("batch-2")
    wrong = person_hired("batch-3") | {"type": "skillplan.recruitment.person-fired.v1"}
    elements = [good, 42, wrong, good, [good], None, other, person_hired("batch-1", hired_on="2024-03-09"), {}]
    results = batch(running, elements)
    assert [receipt["status"] for receipt in results] == [
        *("accepted", "invalid", "invalid", "duplicate", "invalid", "invalid", "accepted", "refused", "invalid")
    ]
    assert [codes(receipt) for receipt in (results[1], results[2], results[4], results[7])] == [
        *(["bad-value"], ["unknown-type"], ["bad-value"], ["id-reused"])
    ]
    for place in (1, 4, 5):
        assert not {"id", "source", "subject", "type"} & set(results[place])
        assert results[place]["reasons"][0]["pointer"] == f"/{place}"
    assert results[3]["first"] == results[0]
    assert results[6]["position"] == results[0]["position"] + 1
    assert set(codes(results[8])) == {"missing-attribute"}


def test_a_batch_has_its_limits(running: System) -> None:
    """RULES A16: 1,000 events and 4 MiB."""
    before = answered_get(running, "/v1/log/head")["position"]
    assert batch(running, []) == []
    assert post(running, [{}] * 1001, BATCH).status_code == 413
    assert post(running, [{"pad": "x" * 4_200_000}], BATCH).status_code == 413
    assert post(running, person_hired("too-large", pad="x" * 1_100_000)).status_code == 413
    assert answered_get(running, "/v1/log/head")["position"] == before
    many = batch(running, [person_hired(n) for n in range(10_000, 11_000)])
    assert {receipt["status"] for receipt in many} == {"accepted"}
    assert [receipt["position"] for receipt in many] == list(range(before + 1, before + 1001))
    assert post(running, [{"pad": "x" * 4_100_000}], BATCH).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"", STRUCTURED, 400, id="empty"),
        pytest.param(b'{"specversion": "1.0", "id": ', STRUCTURED, 400, id="cut off"),
        pytest.param(b"[]", STRUCTURED, 400, id="an array for one event"),
        pytest.param(b"{}", BATCH, 400, id="one event for a batch"),
        pytest.param(b"null", STRUCTURED, 400, id="null"),
        pytest.param("张".encode("gb18030"), STRUCTURED, 400, id="not UTF-8"),
        pytest.param(b"{}", "text/xml", 415, id="XML"),
        pytest.param(b"{}", "", 415, id="no type"),
    ],
)
def test_what_is_no_event_gets_a_problem(running: System, body: bytes, content_type: str, status: int) -> None:
    before = answered_get(running, "/v1/log/head")
    response = post(running, body, content_type)
    assert response.status_code == status
    check_problem(response)
    assert answered_get(running, "/v1/log/head") == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/receipts?source=/districts/330681/tests&id=never", 404),
        ("/v1/receipts?source=%00&id=%00", 404),
        ("/v1/receipts", 422),
        ("/v1/log?after=-1", 422),
        ("/v1/log?limit=0", 422),
        ("/v1/log?after=99999999999999999999", 422),
        ("/v1/nothing", 404),
        ("/v1/events", 405),
    ],
)
def test_a_wrong_question_gets_a_problem(running: System, path: str, status: int) -> None:
    response = api(running).get(path)
    assert response.status_code == status
    check_problem(response)


def check_problem(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["zh"]
    assert problem["en"]


def test_the_log_is_read_page_by_page(running: System) -> None:
    batch(running, [person_hired(n) for n in range(20_000, 20_010)])
    head = answered_get(running, "/v1/log/head")
    assert head["service"] == "recruitment"
    pages, after = [], 0
    while facts := answered_get(running, "/v1/log", after=after, limit=97)["facts"]:
        assert len(facts) <= 97
        pages += facts
        after = facts[-1]["position"]
    assert [fact["position"] for fact in pages] == list(range(1, head["position"] + 1))
    assert pages[-1]["recordedat"] <= head["recorded_at"]
    assert answered_get(running, "/v1/log", after=head["position"])["facts"] == []


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_a_district_may_compress_as_it_likes(running: System, codec: str | None) -> None:
    hires = [person_hired(f"{codec}-{n}") for n in range(20)]
    publish(running.kafka, map(structured, hires), codec)

    def accepted() -> bool:
        receipts = topics.standing(running, "recruitment", hires)
        return all(receipt is not None and receipt["status"] == "accepted" for receipt in receipts)

    eventually(accepted)
