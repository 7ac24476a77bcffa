"""The broker asks for names: as the compose file sets it up, on a broker of its own with TLS from a CA made here."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int8, Int16, Int32, Schema, String
from pydantic import SecretStr

from deploy.kafka import access
from deploy.local import jars, kafka
from deploy.local.ports import HOST
from deploy.operations import inboxes
from deploy.secrets import certificates
from services.catalogue import WITH_DATABASE
from shared.kafka.clients import Broker, BrokerSettings
from tests.conftest import ROOT, NewDatabase
from tests.harness import pair, whose
from tests.harness.fork_server import Ended, fork_server
from tests.harness.ports import any_free
from tests.harness.processes import DISTRICTS, Process, System, eventually, run
from tests.harness.reports import person_hired
from tests.harness.reports import report as envelope

pytestmark = pytest.mark.waits

NAMED = ("SKILLPLAN_KAFKA_USER", "SKILLPLAN_KAFKA_PASSWORD")
# Whoever may write nothing at all does not even get a producer's number.
NO_RIGHT = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
MINE, OTHERS, CITY = "330681", "330602", "330600"
PLAN = "shaoxing-2023-2025"
_HASTE_MS = 3000


@dataclass(frozen=True)
class Secured:
    """A broker that asks for names: where, whom it trusts, and everybody's password."""

    admin: str
    outside: str
    hasty: str  # as outside, but a connection shows its password again within seconds, not within an hour
    ca: Path
    passwords: dict[str, str]
    folder: Path

    def as_user(self, user: str, password: str | None = None) -> dict[str, str]:
        return {
            "SKILLPLAN_KAFKA": self.outside,
            "SKILLPLAN_KAFKA_USER": user,
            "SKILLPLAN_KAFKA_PASSWORD": password or self.passwords[user],
            "SKILLPLAN_KAFKA_CA": str(self.ca),
        }

    def broker(self, user: str) -> Broker:
        settings = BrokerSettings(
            kafka=self.outside, kafka_user=user, kafka_password=SecretStr(self.passwords[user]), kafka_ca=self.ca
        )
        return settings.broker


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Set a broker up as `docker compose` does, its own part apart: the same file of properties, the same commands."""
    folder = tmp_path_factory.mktemp("secured")
    made = certificates.make([HOST, "localhost"])
    (folder / "ca.pem").write_bytes(made.ca)
    (folder / "broker.pem").write_bytes(made.server)
    admin, outside, hasty, inside, controller = any_free(5)
    properties = (ROOT / "deploy/kafka/server.properties").read_text(encoding="utf-8")
    outside_door = "listener.name.outside.scram-sha-512."
    doors = [line for line in properties.splitlines() if line.startswith(outside_door)]
    assert f"{outside_door}connections.max.reauth.ms=3600000" in doors
    hasty_door = "\n".join(doors).replace(".outside.", ".hasty.").replace("=3600000", f"={_HASTE_MS}")
    protocols = "listener.security.protocol.map="
    properties = properties.replace(protocols, f"{protocols}HASTY:SASL_SSL,")
    own = (
        f"{hasty_door}\n"
        f"controller.quorum.voters=1@{HOST}:{controller}\n"
        f"listeners=INSIDE://{HOST}:{inside},OUTSIDE://{HOST}:{outside},HASTY://{HOST}:{hasty},ADMIN://{HOST}:{admin},"
        f"CONTROLLER://{HOST}:{controller}\n"
        f"advertised.listeners=INSIDE://{HOST}:{inside},OUTSIDE://{HOST}:{outside},HASTY://{HOST}:{hasty},"
        f"ADMIN://{HOST}:{admin}\n"
        f"ssl.keystore.location={folder / 'broker.pem'}\nlog.dirs={folder / 'kafka' / 'log'}\n"
    )
    command = kafka.prepare(
        folder / "kafka",
        admin,
        controller,
        class_path=jars.classpath(),
        java=kafka.find_java(),
        besides=properties + own,
    )
    passwords = {user: secrets.token_urlsafe(18) for user in access.users(DISTRICTS)}
    passwords_folder = folder / "passwords"
    passwords_folder.mkdir()
    for user, password in passwords.items():
        (passwords_folder / user).write_text(password + "\n", encoding="utf-8")
    at = f"{HOST}:{admin}"
    with pair.child(command, folder / "kafka.log") as broker:
        assert kafka.wait_up(at, 60, alive=lambda: broker.poll() is None), (folder / "kafka.log").read_text()
        for _ in range(2):  # repeating is harmless
            for module in ("deploy.kafka.topics", "deploy.kafka.access"):
                settings = {"SKILLPLAN_KAFKA": at, "SKILLPLAN_KAFKA_PASSWORDS": str(passwords_folder)}
                done = _command([module], settings)
                assert done.returncode == 0, done.stderr
        yield Secured(at, f"{HOST}:{outside}", f"{HOST}:{hasty}", folder / "ca.pem", passwords, folder)
    shutil.rmtree(folder)


def _command(arguments: list[str], settings: dict[str, str]) -> Ended:
    module, *others = arguments
    return fork_server().run(module, others, settings)


@pytest.fixture
def system(secured: Secured, postgres: str, database: NewDatabase, tmp_path: Path) -> Iterator[System]:
    made = System(secured.outside, tmp_path, database, postgres)
    yield made
    made.close()


def _service(system: System, secured: Secured, service: str, command: str, **settings: str) -> Process:
    return system.process(service, command, **{**secured.as_user(service), **settings})


async def _write(broker: Broker, topic: str) -> None:
    producer = AIOKafkaProducer(enable_idempotence=True, request_timeout_ms=20000, **broker.client())
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()


async def _read(broker: Broker, topic: str, group: str | None = None) -> None:
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **broker.client())
    try:
        await consumer.start()
        if group is None:
            await consumer._client._wait_on_metadata(topic)  # a consumer itself keeps silent of what it may not see
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek(TopicPartition(topic, 0), 0)
        else:
            consumer.subscribe([topic])
        await asyncio.wait_for(consumer.getmany(timeout_ms=3000), 30)
    finally:
        await consumer.stop()


def test_a_district_reports_with_its_own_name_and_the_number_moves(system: System, secured: Secured) -> None:
    """RULES A10, G1 to G5: over TLS, by a district's user, decided and counted by services with users of their own.

    Where the broker asks for no users: tests/integration/test_rules_g.py.
    """
    for service in whose.SERVICES:
        _service(system, secured, service, "worker").start()
    _service(system, secured, "projection", "projector").start()

    def send(sent: dict[str, Any]) -> None:
        topic = f"{sent['type'].split('.')[1]}.reports.{sent['district']}"
        run(_send(secured.broker(f"district-{sent['district']}"), topic, sent))

    whose.check(system, send, named=True)
    report = person_hired("secured")
    report["source"], report["district"] = f"/districts/{MINE}/hr", MINE
    file = system.folder / "reports.ndjson"
    file.write_bytes(orjson.dumps(report))
    journal = {"SKILLPLAN_JOURNAL": str(system.folder / "journal.sqlite")}
    sent = _command(["client", "publish", str(file)], secured.as_user(f"district-{MINE}") | journal)
    assert sent.returncode == 0, sent.stderr
    counted = f"select from numbers.g1_standing where report_id = '{report['id']}'"
    eventually(lambda: system.query("projection", counted, as_role=True))
    eventually(lambda: report["id"] in _receipts(secured, f"district-{MINE}", MINE), within=30)
    again = file.with_name("again.ndjson")  # what was sent from a file once is not sent again
    again.write_bytes(file.read_bytes())
    journal = {"SKILLPLAN_JOURNAL": str(system.folder / "other-journal.sqlite")}
    refused = _command(["client", "publish", str(again)], secured.as_user(f"district-{OTHERS}") | journal)
    assert refused.returncode != 0
    assert f"district-{OTHERS} may not use these topics: recruitment.reports.{MINE}" in refused.stderr
    raw_reports_are_deleted_by_their_service_alone(secured)


def _receipts(secured: Secured, user: str, district: str) -> dict[str, dict[str, Any]]:
    """Read as a user what was answered to a district's reports; by the id of the report, the last receipt of each."""

    async def look() -> dict[str, dict[str, Any]]:
        consumer = AIOKafkaConsumer(
            f"receipts.{district}",
            group_id=f"{user}-looks",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **secured.broker(user).client(),
        )
        await consumer.start()
        try:
            messages = [message for batch in (await consumer.getmany(timeout_ms=3000)).values() for message in batch]
            receipts = [orjson.loads(message.value) for message in messages]
            return {
                receipt["id"]: receipt for receipt in receipts if "id" in receipt
            }  # bytes that are no JSON have none
        finally:
            await consumer.stop()

    return run(look())


async def _send(broker: Broker, topic: str, *reports: dict[str, Any]) -> None:
    producer = AIOKafkaProducer(enable_idempotence=True, request_timeout_ms=20000, **broker.client())
    try:
        await producer.start()
        for report in reports:
            await producer.send_and_wait(topic, orjson.dumps(report), key=report["subject"].encode())
    finally:
        await producer.stop()


def _revision(id_: str, district: str = CITY, **data: Any) -> dict[str, Any]:
    revised = {"plan": PLAN, "indicator": "4.1.b", "op": ">=", "value": 1100, "effective_from": "2024-07-01"}
    report = envelope("planning.target-revised", id_, f"target/{PLAN}/4.1.b", revised | {"by": "计划科"} | data)
    return report | {"source": f"/districts/{district}/plan-office", "district": district}


def test_the_plan_office_decides_over_its_own_topic_alone(system: System, secured: Secured) -> None:
    """RULES F1a, G5: whoever else writes for it is refused, by the broker and, where that lets them, by the service."""
    worker = _service(system, secured, "planning", "worker").start()
    file = system.folder / "office.ndjson"
    file.write_bytes(orjson.dumps(_revision("office-1")))
    journal = {"SKILLPLAN_JOURNAL": str(system.folder / "office.sqlite")}
    sent = _command(["client", "publish", str(file)], secured.as_user("plan-office") | journal)
    assert sent.returncode == 0, sent.stderr
    office, district = _revision("office-1"), f"district-{MINE}"
    mine = {"source": f"/districts/{MINE}/statistics", "district": MINE, "subject": f"month/{PLAN}/2024-03/{MINE}"}
    submitted = envelope("planning.period-submitted", "submitted", "", {"plan": PLAN, "month": "2024-03", "by": "科"})
    retracted = office | {"id": "retracted", "type": "skillplan.planning.report-retracted.v1"}
    retracted["data"] = {"report_id": "office-1", "reason": "试"}

    async def attack() -> None:
        own_topic, citys_topic = f"planning.reports.{MINE}", f"planning.reports.{CITY}"
        await _send(
            secured.broker(district),
            own_topic,
            _revision("as-the-city"),
            _revision("as-itself", MINE),
            submitted | mine,
        )
        await _send(secured.broker(f"district-{CITY}"), citys_topic, _revision("by-the-city", value=1), retracted)

    run(attack())
    eventually(lambda: {"by-the-city", "retracted"} <= _receipts(secured, "plan-office", CITY).keys())
    eventually(lambda: {"as-itself", "submitted"} <= _receipts(secured, district, MINE).keys())
    answers = _receipts(secured, "plan-office", CITY) | _receipts(secured, district, MINE)
    assert {
        id_: (answer["status"], [reason["code"] for reason in answer["reasons"]], answer["reportedby"])
        for id_, answer in answers.items()
        if answer["service"] == "planning"
    } == {
        "office-1": ("accepted", [], "plan-office"),
        "as-the-city": ("refused", ["not-your-source"], district),
        "as-itself": ("refused", ["not-your-source"], district),
        "submitted": ("accepted", [], district),
        "by-the-city": ("refused", ["not-your-source"], f"district-{CITY}"),
        "retracted": ("refused", ["not-your-source"], f"district-{CITY}"),
    }
    facts = [orjson.loads(row["bytes"]) for row in system.query("planning", "select bytes from fact order by position")]
    assert [(fact["reportid"], fact["reportedby"]) for fact in facts] == [
        ("office-1", "plan-office"),
        ("submitted", district),
    ]
    assert worker.alive


def raw_reports_are_deleted_by_their_service_alone(secured: Secured) -> None:
    """What a backup does with what it has: deploy/operations/inboxes.py."""
    service, district = secured.broker("recruitment"), secured.broker(f"district-{MINE}")
    mine = f"recruitment.reports.{MINE}/"

    def decided() -> dict[str, int]:
        reached = run(inboxes.decided(service, "recruitment"))
        return {place: offset for place, offset in reached.items() if place.startswith(mine)}

    up_to = eventually(decided)
    with pytest.raises(TopicAuthorizationFailedError):
        run(inboxes.delete(district, up_to))
    run(inboxes.delete(service, up_to))
    assert {place: run(_first(service, place)) for place in up_to} == up_to


async def _first(broker: Broker, place: str) -> int:
    """Return the first offset that a partition still has."""
    topic, _, partition = place.rpartition("/")
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **broker.client())
    await consumer.start()
    try:
        there = TopicPartition(topic, int(partition))
        first: int = (await consumer.beginning_offsets([there]))[there]
        return first
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        (f"district-{MINE}", f"recruitment.reports.{OTHERS}"),
        (f"district-{MINE}", "recruitment.events"),
        (f"district-{MINE}", f"receipts.{MINE}"),
        (f"district-{MINE}", "quarantine"),
        (f"district-{MINE}", "planning.reports.office"),
        (f"district-{CITY}", "planning.reports.office"),
        ("planning", "planning.reports.office"),
        ("plan-office", f"planning.reports.{CITY}"),
        ("plan-office", f"recruitment.reports.{CITY}"),
        ("plan-office", "planning.events"),
        ("recruitment", "subsidy.events"),
        ("recruitment", f"recruitment.reports.{MINE}"),
        ("projection", "recruitment.events"),
        ("projection", f"receipts.{MINE}"),
    ],
)
async def test_nobody_writes_where_it_is_not_his_to_write(secured: Secured, user: str, topic: str) -> None:
    with pytest.raises(NO_RIGHT):
        await _write(secured.broker(user), topic)


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        (f"district-{MINE}", f"receipts.{OTHERS}"),
        (f"district-{MINE}", "recruitment.events"),
        (f"district-{MINE}", f"recruitment.reports.{MINE}"),
        (f"district-{MINE}", "quarantine"),
        ("plan-office", f"receipts.{MINE}"),
        ("plan-office", "planning.reports.office"),
        ("recruitment", "competition.events"),
        ("recruitment", f"competition.reports.{MINE}"),
        ("projection", f"recruitment.reports.{MINE}"),
    ],
)
async def test_nobody_reads_what_is_not_for_him(secured: Secured, user: str, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await _read(secured.broker(user), topic)


async def test_a_district_joins_no_consumer_group_but_its_own(secured: Secured) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await _read(secured.broker(f"district-{MINE}"), f"receipts.{MINE}", "skillplan-recruitment")


async def test_what_is_no_longer_allowed_is_taken_back(secured: Secured) -> None:
    wanted = access.rights(DISTRICTS)
    extra = access.Right("district-330000", 4, 2, "recruitment.events")
    passwords = {"district-330000": secured.passwords.setdefault("district-330000", "of-a-district-that-left")}
    await access.ensure(Broker(secured.admin), passwords, wanted | {extra})
    await _write(secured.broker("district-330000"), "recruitment.events")
    await access.ensure(Broker(secured.admin), passwords, wanted)
    with pytest.raises(NO_RIGHT):
        await _write(secured.broker("district-330000"), "recruitment.events")
    # A plan office that names its districts anew: whose plan is gone has no password any more.
    remaining = {user: secured.passwords[user] for user in access.users(DISTRICTS)}
    await access.ensure(Broker(secured.admin), remaining, wanted, remaining)
    with pytest.raises(KafkaConnectionError):
        await _write(secured.broker("district-330000"), "recruitment.events")
    await _write(secured.broker(f"district-{MINE}"), f"recruitment.reports.{MINE}")


async def test_connections_outlive_their_time_and_not_their_password(secured: Secured) -> None:
    """connections.max.reauth.ms: at the end of a connection's time the password counts, and nothing that was before."""
    topic, gone, wanted = f"receipts.{MINE}", "district-330001", access.rights(DISTRICTS)
    remaining = {user: secured.passwords[user] for user in access.users(DISTRICTS)}
    # It keeps the right to write, so that it is the password that it misses.
    rights = wanted | {access.Right(gone, 4, 2, topic)}
    await access.ensure(Broker(secured.admin), remaining | {gone: "of-one-who-leaves"}, rights)
    theirs = dataclasses.replace(secured.broker("recruitment"), user=gone, password="of-one-who-leaves")
    service = AIOKafkaProducer(**_hasty(secured, secured.broker("recruitment")))
    leaving = await _started_once_known(_hasty(secured, theirs))
    # Without a group: aiokafka's coordinator may wait for ever when it is stopped while it connects anew.
    reader = AIOKafkaConsumer(enable_auto_commit=False, **_hasty(secured, secured.broker(f"district-{MINE}")))
    sent, received = list[bytes](), list[bytes]()
    try:
        for client in (service, reader):
            await client.start()
        await reader._client._wait_on_metadata(topic)
        reader.assign([TopicPartition(topic, 0)])
        reader.seek(TopicPartition(topic, 0), 0)
        await leaving.send_and_wait(topic, b"{}", key=b"k")
        await access.ensure(Broker(secured.admin), remaining, rights, remaining)  # its password is gone
        began, refused_after = time.monotonic(), None
        while refused_after is None or time.monotonic() - began < 3 * _HASTE_MS / 1000:
            assert time.monotonic() - began < 100
            sent.append(b'{"n":%d}' % len(sent))
            await service.send_and_wait(topic, sent[-1], key=b"k")
            received += [
                message.value for batch in (await reader.getmany(timeout_ms=100)).values() for message in batch
            ]
            if refused_after is None:
                try:
                    await leaving.send_and_wait(topic, b"{}", key=b"k")
                except KafkaError:
                    refused_after = time.monotonic() - began
        while sent[-1] not in received:
            assert time.monotonic() - began < 120
            received += [
                message.value for batch in (await reader.getmany(timeout_ms=100)).values() for message in batch
            ]
    finally:
        for client in (service, leaving, reader):
            await client.stop()
        await access.ensure(Broker(secured.admin), remaining, wanted, remaining)
    ours = list(dict.fromkeys(value for value in received if value in sent))
    assert ours == sent, "none is missing, of those after a connection's end neither"


async def _started_once_known(client: dict[str, Any]) -> AIOKafkaProducer:
    """Start a producer of a user who was just made: the broker says so before it knows his password."""
    async with asyncio.timeout(60):
        while True:
            producer = AIOKafkaProducer(request_timeout_ms=5000, **client)
            try:
                await producer.start()
            except KafkaConnectionError:
                await producer.stop()
                await asyncio.sleep(0.1)
            else:
                return producer


def _hasty(secured: Secured, broker: Broker) -> dict[str, Any]:
    return dataclasses.replace(broker, servers=secured.hasty).client()


class _QuotasFound(Response):  # type: ignore[misc]
    API_KEY = 48
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", String("utf-8")),
        (
            "entries",
            Array(
                ("entity", Array(("type", String("utf-8")), ("name", String("utf-8")))),
                ("values", Array(("key", String("utf-8")), ("value", Float64))),
            ),
        ),
    )


class _QuotasVersion0(RequestStruct):  # type: ignore[misc]
    API_KEY = 48
    API_VERSION = 0
    RESPONSE_TYPE = _QuotasFound
    SCHEMA = Schema(
        ("components", Array(("type", String("utf-8")), ("match_type", Int8), ("match", String("utf-8")))),
        ("strict", Boolean),
    )


class _Quotas(Request[_QuotasVersion0]):  # type: ignore[misc]
    """DescribeClientQuotas of every user."""

    API_KEY = 48

    def build(self, request_struct_class: type[_QuotasVersion0]) -> _QuotasVersion0:
        return request_struct_class([("user", 2, None)], False)


async def test_a_district_has_a_quota_and_a_service_none(secured: Secured) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=secured.admin)
    await admin.start()
    try:
        quotas = await admin._send_request(_Quotas())
    finally:
        await admin.close()
    by_user = {entity[0][1]: dict(values) for entity, values in quotas.entries}
    assert by_user[f"district-{MINE}"] == access.QUOTAS
    assert by_user["plan-office"] == access.QUOTAS
    assert not set(WITH_DATABASE) & by_user.keys()


def test_readiness_names_a_wrong_password_an_unknown_ca_and_a_closed_topic(system: System, secured: Secured) -> None:
    """Each in one sentence, while the process lives on, without a flood of logs."""
    stranger = secured.folder / "stranger.pem"
    stranger.write_bytes(certificates.make([HOST]).ca)
    wrong = {
        "wrong user or password": {"SKILLPLAN_KAFKA_PASSWORD": "wrong"},
        "not trusted by SKILLPLAN_KAFKA_CA": {"SKILLPLAN_KAFKA_CA": str(stranger)},
        "may not use these topics": secured.as_user(f"district-{MINE}"),
        "may want TLS, a password, or neither": {"SKILLPLAN_KAFKA": secured.admin},
    }
    processes = {
        problem: (
            _service(system, secured, "recruitment", "worker", **settings).start(wait=False),
            _service(system, secured, "projection", "projector", **settings).start(wait=False),
        )
        for problem, settings in wrong.items()
    }
    for problem, (worker, projector) in processes.items():
        eventually(lambda problem=problem, worker=worker: problem in worker.problems().get("kafka", ""))  # type: ignore[misc]
        if "topics" not in problem:  # one projector writes at a time; the others stand by, and are well
            eventually(
                lambda problem=problem, worker=worker: problem in worker.problems().get("relay", problem)  # type: ignore[misc]
            )
        for process in (worker, projector):
            assert process.alive
            assert "Traceback" not in process.text()
            assert len(process.text()) < 60_000
    # They take turns at the lock; whoever has it says what is wrong.
    eventually(lambda: any("kafka" in projector.problems() for _, projector in processes.values()))


@pytest.mark.parametrize(
    ("message", "overrides"),
    [
        ("wrong user or password", {"SKILLPLAN_KAFKA_PASSWORD": "wrong"}),
        ("no usable CA certificate", {"SKILLPLAN_KAFKA_CA": __file__}),
        ("SKILLPLAN_KAFKA_CA", {"SKILLPLAN_KAFKA_CA": "/no/such/file"}),
        ("user and password go together", {"SKILLPLAN_KAFKA_USER": ""}),
        ("may want TLS, a password, or neither", dict.fromkeys(("SKILLPLAN_KAFKA_CA", *NAMED), "")),
    ],
)
def test_a_command_ends_with_one_sentence_when_the_broker_refuses_it(
    secured: Secured, message: str, overrides: dict[str, str], tmp_path: Path
) -> None:
    environment = {**secured.as_user(f"district-{MINE}"), **overrides}
    environment = {name: value for name, value in environment.items() if value}
    for arguments in (["deploy.kafka.topics"], ["client", "publish", "/dev/null"]):
        done = _command(arguments, environment)
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr) < 1500


async def test_only_the_administrator_gives_rights(secured: Secured) -> None:
    with pytest.raises(access.RefusedError):
        await access.ensure(secured.broker("recruitment"), {"recruitment": "x"}, set())


def test_an_empty_or_missing_password_file_is_named_and_changes_nothing(secured: Secured, tmp_path: Path) -> None:
    settings = {"SKILLPLAN_KAFKA": secured.admin, "SKILLPLAN_KAFKA_PASSWORDS": str(tmp_path)}
    missing = _command(["deploy.kafka.access"], settings)
    for user in secured.passwords:
        (tmp_path / user).write_text("")
    empty = _command(["deploy.kafka.access"], settings)
    assert (missing.returncode, empty.returncode) == (1, 1)
    assert "cannot read the password file" in missing.stderr
    assert "the password file is empty" in empty.stderr
    assert next(iter(WITH_DATABASE)) in empty.stderr


def test_a_further_city_has_users_of_its_own_who_may_nothing_at_the_first(secured: Secured) -> None:
    theirs = secured.folder / "passwords of ningbo"
    theirs.mkdir()
    for user in access.users(DISTRICTS):
        (theirs / user).write_text(secrets.token_urlsafe(18), encoding="utf-8")
    settings = {"SKILLPLAN_KAFKA": secured.admin, "SKILLPLAN_KAFKA_PASSWORDS": str(theirs)}
    for module in ("deploy.kafka.topics", "deploy.kafka.access"):
        done = _command([module], settings | {"SKILLPLAN_NAMESPACE": "ningbo"})
        assert done.returncode == 0, done.stderr
    user, inbox = f"district-{MINE}", f"recruitment.reports.{MINE}"
    first = secured.broker(user)
    further = dataclasses.replace(first, password=(theirs / user).read_text(encoding="utf-8"), namespace="ningbo")
    run(_write(first, inbox))  # what the first city's users may was left to them
    run(_write(further, further.named(inbox)))
    for broker, topic in ((first, further.named(inbox)), (further, inbox)):
        with pytest.raises(NO_RIGHT):
            run(_write(broker, topic))
    assert "wrong user or password" in str(run(dataclasses.replace(further, password=first.password).problem()))
