"""A person goes no further than the door: after a run of everything, numbers, names and phones are nowhere else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import asyncpg
import pytest

from services.catalogue import COUNTED
from shared.log.sealing import Seal
from tests.harness.people import spelt
from tests.harness.processes import DISTRICTS, SERVICE_KEY, System, eventually, run
from tests.harness.reports import OF_THE_FIRST_ROAD, Report, person, person_hired, subsidy_claimed, subsidy_paid
from tests.harness.topics import binary, publish, settle, standing, structured, whole

SERVICES = COUNTED
RUNS: Final = 2  # each report by HTTP and by Kafka


def someone(n: int) -> dict[str, Any]:
    """Return a made-up person whose name is found nowhere by chance."""
    return person(500_000 + n) | {"name": f"隐秘{chr(0x9F00 + n)}{chr(0x9E00 + n)}"}


FOREIGNER: Final = {"id_number": "EA 7Q41 902Z", "id_type": "passport", "name": "Ottoline Quist-Nakamura"}


def valid() -> list[Report]:
    """Every report of the first road and its end, each person of its own; claims on the certificates among them."""
    made: list[Report] = []
    for n in range(RUNS):
        for opens, ends in OF_THE_FIRST_ROAD:
            if opens.__name__ in ("catalogue_published", "standard_set") and n:
                continue
            report = opens(n)
            if "person" in report["data"]:
                report["data"]["person"] = someone(_index(report))
            made.append(report)
            if ends is not None and n:
                made.append(ends(n))
        made.append(subsidy_paid(n, 100))
    made.append(person_hired("foreigner", person=FOREIGNER))
    return made


_PEOPLE: Final[dict[str, int]] = {}


def _index(report: Report) -> int:
    # A claim is of the person whose certificate it rests on.
    thing = report["data"].get("certificate_number") or report["subject"].partition("/")[2]
    return _PEOPLE.setdefault(thing, len(_PEOPLE))


def invalid() -> Iterator[Report]:
    """Yield reports that betray a person wherever one may be put by mistake."""
    hidden = someone(90)
    number, name, phone = hidden["id_number"], hidden["name"], hidden["phone"]
    yield person_hired("p1") | {"id": f"hire-{number}"}
    yield person_hired("p2") | {"subject": f"hire/{number}"}
    yield person_hired("p3") | {"source": f"/districts/330681/{number}"}
    yield person_hired("p4") | {"type": f"skillplan.recruitment.{number}.v1"}
    yield person_hired("p5") | {"time": f"{name} {number}"}
    yield person_hired("p6") | {"district": number}
    yield person_hired("p7") | {"traceparent": number, "correlationid": number, "note": f"{name} {phone}"}
    yield person_hired("p7a") | {"traceparent": name}
    yield person_hired("p8", person=number)
    yield person_hired("p9", person={"id_number": number[:-1] + "?", "name": name, "phone": phone})
    yield person_hired("p10", person=hidden | {"age": name})
    yield person_hired("p11", person=hidden | {name: 1, phone: 1, number: 1})
    yield person_hired("p12", **{name: hidden, phone: 1, number: 1})
    yield person_hired("p13", occupation_code=number, level=name, hired_on=phone)
    yield person_hired("p14", enterprise={"credit_code": number, "name": f"{number} 公司"})
    yield person_hired("p15", channel=name, fair_no=f"F-{number}")
    yield person_hired("p16", person=[hidden])
    yield person_hired("p17", person=hidden | {"id_type": name})
    yield person_hired("p18", person=hidden | {"phone": f"{phone} {name}"})
    yield person_hired("p19", person=hidden | {"name": name + "\x00"})
    yield person_hired("p20", person=hidden) | {"type": "skillplan.subsidy.person-hired.v1"}
    yield person_hired("p21", person=hidden) | {"district": "330602"}
    yield person_hired("p22", person=hidden, hired_on="2999-01-01")
    yield person_hired("p23", person=hidden | {"id_number": int(number[:17])})


def unreadable() -> Iterator[bytes]:
    raw = json.dumps(person_hired("broken", person=someone(91)), ensure_ascii=False).encode()
    yield raw[:-30]
    yield raw.decode().encode("utf-16")
    yield raw.decode().encode("gb18030")
    yield b"[" + raw + b"]"
    yield raw + b"}"
    yield json.dumps(raw.decode()).encode()


@pytest.fixture(scope="module")
def everything(running: System) -> System:
    """The system after all of it came in, by HTTP and by Kafka, singly and in batches, and was projected."""
    addresses = {service: running.the(service, "api").url for service in SERVICES}
    settings = {"SKILLPLAN_SERVICES": json.dumps(addresses), "SKILLPLAN_LOG_LEVEL": "DEBUG"}
    projector = running.process("projection", "projector", **settings).start(wait=False)
    api = running.process("projection", "api", **settings).start(wait=False)
    projector.wait_ready()
    api.wait_ready()
    good = valid()
    by_kafka = good[::2]
    publish(running.kafka, [(structured, binary)[n % 2](report) for n, report in enumerate(by_kafka)])
    for report in good[1::2]:
        assert _door(running, report).post("/v1/events", json=report).status_code in (200, 202), report
    forever = subsidy_claimed("never-issued", person=someone(92))
    assert _door(running, forever).post("/v1/events", json=forever).json()["status"] == "waiting"
    bad = list(invalid())
    publish(running.kafka, [structured(report, "recruitment.reports.330681") for report in bad])
    door = running.the("recruitment", "api").http
    batch = {"content-type": "application/cloudevents-batch+json"}
    answers = [door.post("/v1/events", json=report) for report in bad]
    answers.append(door.post("/v1/events", json=[*bad, "x"], headers=batch))
    for raw in unreadable():
        message = structured(good[0], "recruitment.reports.330681")
        publish(running.kafka, [type(message)(message.topic, message.key, raw)])
        answers.append(door.post("/v1/events", content=raw, headers={"content-type": "application/cloudevents+json"}))
    request = {"source": someone(90)["name"], "after": someone(90)["id_number"]}
    answers += [door.get(path, params=request) for path in ("/v1/receipts", f"/v1/{request['after']}", "/v1/log")]
    running.folder.joinpath("answers.log").write_bytes(b"\n".join(answer.content for answer in answers))

    def decided() -> bool:
        for service in SERVICES:
            own = [report for report in good if report["type"].split(".")[1] == service]
            if not all(receipt and receipt["status"] == "accepted" for receipt in standing(running, service, own)):
                return False
        return bool(running.query("recruitment", "select quarantined from log_head")[0][0] == len(list(unreadable())))

    eventually(decided)
    settle(running, *SERVICES)

    def counted() -> bool:
        progress = api.http.get("/v1/plans/shaoxing-2023-2025/progress").json()
        return all(progress["complete_to"][service]["behind_events"] == 0 for service in SERVICES)

    eventually(counted)
    return running


def _door(system: System, report: Report) -> Any:
    return system.the(report["type"].split(".")[1], "api").http


@cache
def secrets() -> list[str]:
    """List what must not be found, of everybody in the reports above."""
    people = [someone(n) for n in (*range(len(_PEOPLE)), 90, 91, 92)]
    people += [report["data"]["person"] for report in valid() if "person" in report["data"]]
    matches = {each[field] for each in people for field in ("id_number", "name", "phone") if field in each}
    # Without its last character, too: a number may be cut or its check digit spelt otherwise.
    return sorted(matches | {number[:17] for number in matches if number[:17].isdecimal()} | {"EA7Q41902Z"})


def betrayed(content: bytes) -> list[str]:
    """List the secrets that stand in some bytes."""
    return [secret for secret in secrets() if any(way in content for way in spelt(secret))]


def test_the_search_finds_what_is_there() -> None:
    first = someone(90)
    for field in ("id_number", "name", "phone"):
        assert betrayed(json.dumps(first).encode())
        assert betrayed(f"… {first[field]} …".encode())


def test_no_log_and_no_answer_says_who(everything: System) -> None:
    files = [path for path in everything.folder.iterdir() if path.is_file()]
    assert len(files) == 2 * len(SERVICES) + 3
    for path in files:
        assert not betrayed(path.read_bytes()), path.name


def test_no_topic_but_the_inboxes_says_who(everything: System) -> None:
    topics = [*(f"{service}.events" for service in SERVICES), "quarantine"]
    topics += [f"receipts.{district}" for district in DISTRICTS]
    for topic in topics:
        stored = whole(everything.kafka, topic)
        parts = [part for item in stored for part in (item.key, item.value, *(v for _, v in item.headers)) if part]
        parts += [name.encode() for item in stored for name, _ in item.headers]
        assert not betrayed(b"\n".join(parts)), topic
    assert betrayed(b"\n".join(first.value or b"" for first in whole(everything.kafka, "recruitment.reports.330681")))


@pytest.mark.parametrize("service", [*SERVICES, "projection"])
def test_no_column_says_who(everything: System, service: str) -> None:
    for place, content in run(_columns(everything.databases[service].owner_dsn)):
        assert not betrayed(content), place


async def _columns(dsn: str) -> list[tuple[str, bytes]]:
    """Return everything of every column of every table: as text, and bytes as they are."""
    connection = await asyncpg.connect(dsn)
    try:
        columns = await connection.fetch(
            "select table_schema, table_name, column_name, data_type from information_schema.columns"
            " where table_schema not in ('pg_catalog', 'information_schema')"
        )
        matches = []
        for schema, table, column, kind in columns:
            result = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
            sql = f'select {result} from "{schema}"."{table}"'  # noqa: S608 - names come from the catalogue itself
            rows = await connection.fetch(sql)
            matches.append((f"{schema}.{table}.{column}", b"\n".join(row[0] for row in rows if row[0] is not None)))
        return matches
    finally:
        await connection.close()


def test_statistics_and_activity_say_nothing_either(everything: System) -> None:
    """What the database keeps about its own work: samples of columns, statements that run."""
    for service in (*SERVICES, "projection"):
        everything.query(service, "analyze")
        rows = everything.query(service, "select to_jsonb(s)::text from pg_stats s")
        rows += everything.query(service, "select to_jsonb(s)::text from pg_stat_activity s")
        assert not betrayed("\n".join(row[0] for row in rows).encode())


def facts_about_people(system: System) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield (service, person as recorded, person as reported) of every fact that came of a valid report."""
    reported = {report["id"]: report["data"].get("person") for report in valid()}
    for service in SERVICES:
        for row in system.query(service, "select bytes from fact"):
            fact = json.loads(row["bytes"])
            if (reports_sent := reported.get(fact["reportid"])) is not None and "person" in fact["data"]:
                yield service, fact["data"]["person"], reports_sent


def test_the_service_can_open_what_it_sealed(everything: System) -> None:
    seal = Seal(bytes.fromhex(SERVICE_KEY))
    keys = {
        (service, row["token"]): row["wrapped"]
        for service in SERVICES
        for row in everything.query(service, "select token, wrapped from person_key")
    }
    opened = 0
    for service, person_, reports_sent in facts_about_people(everything):
        assert set(person_) == {"token", "sealed"}
        fields = json.loads(seal.unseal(keys[service, person_["token"]], person_["token"], person_["sealed"]))
        assert fields == {"id_type": "resident"} | reports_sent | {
            "id_number": reports_sent["id_number"].replace(" ", "")
        }
        opened += 1
    assert opened == 7 * RUNS + 1


def test_a_person_is_the_same_in_every_service_and_no_one_else(everything: System) -> None:
    tokens: defaultdict[str, set[str]] = defaultdict(set)
    for _, person_, reports_sent in facts_about_people(everything):
        tokens[reports_sent["id_number"]].add(person_["token"])
    assert all(len(own) == 1 for own in tokens.values())
    assert len({token for own in tokens.values() for token in own}) == len(tokens) == len(_PEOPLE) + 1
