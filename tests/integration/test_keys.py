"""Over HTTP a key says who asks, and no client may hold a process up: real processes, real sockets (RULES A10)."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.secrets import certificates as own_certificates
from shared.http.api_keys import KeyFile, KeyFileError, Role
from tests.harness.fork_server import fork_server
from tests.harness.processes import Process, System, eventually
from tests.harness.reports import person_hired
from tests.integration.conftest import Template, fresh_databases

pytestmark = pytest.mark.waits

PEPPER = "5e" * 32
BATCH = "application/cloudevents-batch+json"
ZHUJI, YUECHENG = "/districts/330681/tests", "/districts/330602/tests"
NAMED_ORIGIN = "https://meeting.shaoxing.example"
SECRET_WORD = "9135ZZTOP"  # sent where a wrong answer might quote it


@dataclass
class City:
    """An installation whose doors are closed: a domain service, the projection, and a key of each role."""

    system: System
    file: Path
    settings: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def book(self) -> KeyFile:
        return KeyFile(self.file, PEPPER)

    @property
    def api(self) -> Process:
        return self.system.the("recruitment", "api")

    @property
    def projection(self) -> Process:
        return self.system.the("projection", "api")

    def ask(self, process: Process, method: str, path: str, key: str | None, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {}) | ({"authorization": f"Bearer {key}"} if key else {})
        return process.http.request(method, path, headers=headers, **more)

    def batch(self, key: str, *reports: dict[str, Any]) -> httpx.Response:
        body = {"content": json.dumps(reports), "headers": {"content-type": BATCH}}
        return self.ask(self.api, "POST", "/v1/events", key, **body)


@pytest.fixture(scope="module")
def city(postgres: str, _template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    book = KeyFile(folder / "keys.json", PEPPER)
    book.create()
    keys = {
        "district": book.add(Role.DISTRICT, ("/districts/330681/",))[1],
        "neighbour": book.add(Role.DISTRICT, ("/districts/330602/",))[1],
        "planner": book.add(Role.PLANNER, ("/districts/330681/",))[1],
        **{role: book.add(Role(role))[1] for role in ("reader", "operator", "auditor", "service")},
    }
    settings = {
        "SKILLPLAN_KEYS": str(folder / "keys.json"),
        "SKILLPLAN_KEY_PEPPER": PEPPER,
        "SKILLPLAN_API_KEY": keys["service"],
        "SKILLPLAN_CORS": f"{NAMED_ORIGIN} http://127.0.0.1:5173",
    }
    with fresh_databases(postgres, _template) as new_database:
        system = System("127.0.0.1:1", folder, new_database, postgres)
        try:
            api = system.process("recruitment", "api", **settings).start()
            others = json.dumps({"recruitment": api.url})
            projection = system.process("projection", "api", SKILLPLAN_SERVICES=others, **settings).start(wait=False)
            eventually(lambda: projection.http.get("/livez").status_code == 200)
            yield City(system, folder / "keys.json", settings, keys)
        finally:
            system.close()


# Who may ask what; None asks without a key. "own" is a source that the district's and the planner's keys cover.
EVERYBODY = {"district", "planner", "reader", "operator", "auditor", "service"}
OWN = f"/v1/receipts?source={ZHUJI}&id=never"
OTHERS = f"/v1/receipts?source={YUECHENG}&id=never"
TABLE: list[tuple[str, str, str, set[str]]] = [
    ("recruitment", "POST", "/v1/events", {"district", "planner"}),
    ("recruitment", "GET", OWN, {"district", "planner", "operator", "auditor", "service"}),
    ("recruitment", "GET", OTHERS, {"planner", "operator", "auditor", "service"}),
    ("recruitment", "GET", "/v1/log", {"operator", "auditor", "service"}),
    ("recruitment", "GET", "/v1/log/head", {"operator", "auditor", "service"}),
    ("recruitment", "GET", "/v1/log/checkpoint", EVERYBODY),
    ("recruitment", "GET", "/v1/log/tile/0/000", EVERYBODY),
    ("recruitment", "GET", "/v1/log/tiles", {"operator", "auditor", "service"}),
    ("recruitment", "DELETE", "/v1/events", set()),
    ("recruitment", "GET", "/v1/nothing", EVERYBODY),
    ("projection", "GET", "/v1/plans", EVERYBODY),
    ("projection", "GET", "/v1/plans/shaoxing-2023-2025/progress", EVERYBODY),
    ("projection", "GET", OWN, {"district", "planner", "operator", "auditor", "service"}),
    ("projection", "GET", OTHERS, {"planner", "operator", "auditor", "service"}),
    ("projection", "GET", "/v1/districts/330681/receipts", {"district", "planner", "operator", "auditor"}),
    ("projection", "GET", "/v1/districts/330602/receipts", {"planner", "operator", "auditor"}),
    ("projection", "POST", "/v1/plans/shaoxing-2023-2025/anything", {"planner"}),
]


@pytest.mark.parametrize(("service", "method", "path", "may"), TABLE)
def test_a_role_may_what_the_table_says(city: City, service: str, method: str, path: str, may: set[str]) -> None:
    process = city.system.the(service, "api")
    permitted = set()
    for role in EVERYBODY:
        answer = city.ask(process, method, path, city.keys[role])
        assert answer.status_code != 401
        if answer.status_code == 403:
            check_problem(answer)
        else:
            permitted.add(role)
    assert permitted == may
    refused = city.ask(process, method, path, None)
    check_problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer ")


def test_the_plan_office_voids_a_report_and_assigns_a_subject_and_reports_nothing_else_here(city: City) -> None:
    office = city.book.add(Role.PLANNER, ("/districts/330600/",))[1]
    as_district = city.book.add(Role.DISTRICT, ("/districts/330600/",))[1]
    hired = {**person_hired("to-be-voided"), "source": ZHUJI}
    assert city.batch(city.keys["district"], hired).json()["results"][0]["status"] == "accepted"
    voiding = {
        **{name: hired[name] for name in ("specversion", "subject", "time")},
        "id": "voids",
        "source": "/districts/330600/office",
        "district": "330600",
        "type": "skillplan.recruitment.report-voided.v1",
        "data": {"source": hired["source"], "report_id": hired["id"], "reason": "test"},
    }
    own = {**person_hired("of-the-office"), "source": "/districts/330600/office", "district": "330600"}

    def results(key: str, *reports: dict[str, Any]) -> list[tuple[str, list[str]]]:
        answers = city.batch(key, *reports).json()["results"]
        return [(answer["status"], [reason["code"] for reason in answer["reasons"]]) for answer in answers]

    assigning = voiding | {"id": "assigns", "type": "skillplan.recruitment.subject-assigned.v1"}
    assigning["data"] = {"to": "330681", "reason": "test"}
    of_zhuji = assigning | {"source": ZHUJI, "district": "330681"}
    assert results(city.keys["district"], of_zhuji) == [("refused", ["only-the-city"])]
    # RULES G3 asks for the city, G4 for a key of its plan office besides.
    assert results(as_district, assigning) == [("accepted", [])]
    assert results(office, assigning | {"id": "assigns-too"}) == [("accepted", [])]
    assert results(as_district, voiding) == [("refused", ["not-your-source"])]
    assert results(city.keys["planner"], voiding) == [("refused", ["not-your-source"])]  # of another prefix
    assert results(office, voiding) == [("accepted", [])]
    withdrawing = voiding | {"type": "skillplan.recruitment.report-retracted.v1"}
    for id_ in ("assigns-too", "voids"):  # both can be taken back by who made them
        withdrawn = withdrawing | {"id": f"withdraws-{id_}", "data": {"report_id": id_, "reason": "test"}}
        assert results(office, withdrawn) == [("accepted", [])]
    assert results(office, own)[0][0] == "refused"
    of_a_district = {**person_hired("no-business-of-its"), "source": ZHUJI}
    assert results(city.keys["planner"], of_a_district) == [("refused", ["not-your-source"])]


def test_health_the_page_and_the_description_need_no_key(city: City) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
        assert city.api.http.get(path).status_code == 200, path
    assert city.projection.http.get("/").status_code == 200
    assert city.projection.http.get("/openapi.json").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic dXNlcjpwYXNz", f"Bearer {SECRET_WORD}", f"Bearer sk_00000000_{'A' * 43}", "KEY"],
)
def test_what_is_no_key_is_401_and_never_quoted(city: City, header: str) -> None:
    given = header.replace("KEY", city.keys["district"])
    answer = city.api.http.get("/v1/log/head", headers={"authorization": given})
    check_problem(answer, 401)
    assert SECRET_WORD not in answer.text
    assert given not in city.api.text() or len(given) < 8


def test_a_batch_may_mix_sources_and_each_event_is_judged_by_itself(city: City) -> None:
    """RULES A10, and A3: what was not admitted binds no id."""
    own, other = person_hired("own"), person_hired("other") | {"source": YUECHENG, "district": "330602"}
    own["source"] = ZHUJI
    first = city.batch(city.keys["district"], own, other).json()["results"]
    assert [(r["status"], [reason["code"] for reason in r["reasons"]]) for r in first] == [
        ("accepted", []),
        ("refused", ["not-your-source"]),
    ]
    second = city.batch(city.keys["neighbour"], own, other).json()["results"]
    assert [r["status"] for r in second] == ["refused", "accepted"]
    _, both = city.book.add(Role.DISTRICT, ("/districts/330681/tests", "/districts/330602/"))
    eventually(lambda: city.ask(city.api, "GET", OWN, both).status_code == 404)
    assert [r["status"] for r in city.batch(both, own, other).json()["results"]] == ["duplicate", "duplicate"]


def test_keys_are_made_rotated_and_revoked_while_requests_flow(city: City) -> None:
    """No restart, and not one request of a good key refused meanwhile."""
    key, old = city.book.add(Role.AUDITOR)
    steady, stop, refused = city.keys["operator"], threading.Event(), list[int]()

    def flow() -> None:
        with httpx.Client(base_url=city.api.url, timeout=20, headers={"authorization": f"Bearer {steady}"}) as client:
            while not stop.is_set():
                if (status := client.get("/v1/log/head").status_code) != 200:
                    refused.append(status)

    def status(secret: str) -> int:
        return city.ask(city.api, "GET", "/v1/log/head", secret).status_code

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        assert status(old) == 200
        _, new = city.book.rotate(key.id, timedelta(seconds=3))
        assert (status(old), status(new)) == (200, 200)
        eventually(lambda: status(old) == 401, 20)
        for _ in range(20):
            made, secret = city.book.add(Role.READER)
            assert status(secret) == 403  # a reader reads no log, but is known
            city.book.revoke(made.id)
            assert status(secret) == 401
        assert status(new) == 200
        city.book.revoke(key.id)
        assert status(new) == 401
        expired, last = city.book.add(Role.AUDITOR, expires_at=datetime.now(UTC) + timedelta(seconds=2))
        assert status(last) == 200
        assert expired.id in city.api.http.get("/readyz").json()["warnings"]["keys"]  # issue 13.3: a month ahead
        eventually(lambda: status(last) == 401, 20)
        assert "expired" in city.ask(city.api, "GET", "/v1/log/head", last).json()["en"]

        def is_logged() -> bool:
            """One refusal a second is, whatever else was refused before."""
            assert status(new) == 401
            refusals = [json.loads(line) for line in city.api.text().splitlines() if '"http.refused"' in line]
            return any((log["status"], log["key"], log["route"]) == (401, key.id, "/v1/log/head") for log in refusals)

        eventually(is_logged, 20)
        assert [act.act for act in city.book.history() if act.key == key.id] == ["made", "rotated", "revoked"]
        assert expired.id in {key.id for key in city.book.keys()}  # noqa: SIM118 - no mapping
    finally:
        stop.set()
        flowing.join()
    assert refused == []


@pytest.mark.parametrize("harm", ["deleted", "garbled", "unreadable pepper"])
def test_a_harmed_key_file_opens_no_door_and_is_named(city: City, harm: str) -> None:
    good = city.file.read_bytes()
    try:
        if harm == "deleted":
            city.file.unlink()
        else:
            city.file.write_bytes(b"{" if harm == "garbled" else good.replace(b'"pepper": "', b'"pepper": "0'))
        assert city.ask(city.api, "GET", "/v1/log/head", None).status_code == 401
        assert city.ask(city.api, "GET", "/v1/log/head", city.keys["auditor"]).status_code == 200
        readiness = city.api.http.get("/readyz")
        assert readiness.status_code == 503
        assert "SKILLPLAN_KEY" in readiness.json()["problems"]["keys"]
        with pytest.raises(KeyFileError):
            city.book.add(Role.READER)
        fails_at_start(city, says="SKILLPLAN_KEY")
    finally:
        city.file.write_bytes(good)
    eventually(lambda: city.api.http.get("/readyz").status_code == 200)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SKILLPLAN_KEY_PEPPER": "ab" * 32}, "SKILLPLAN_KEY_PEPPER"),
        ({"SKILLPLAN_KEY_PEPPER": "short"}, "32 bytes in hex"),
        ({"SKILLPLAN_KEYS": "/nowhere/keys.json"}, "SKILLPLAN_KEYS"),
        ({"SKILLPLAN_KEYS": "", "SKILLPLAN_HOST": "0.0.0.0"}, "SKILLPLAN_OPEN"),  # noqa: S104
        ({"SKILLPLAN_TLS_CERT": "/nowhere/cert.pem"}, "SKILLPLAN_TLS_KEY"),
        ({"SKILLPLAN_TLS_CERT": "/nowhere/cert.pem", "SKILLPLAN_TLS_KEY": "/nowhere/key.pem"}, "SKILLPLAN_TLS_CERT"),
        ({"SKILLPLAN_RATE": "0"}, "SKILLPLAN_RATE"),
    ],
)
def test_a_wrong_setting_is_one_sentence_at_start(city: City, settings: dict[str, str], says: str) -> None:
    fails_at_start(city, says=says, **settings)


def test_an_expired_certificate_is_one_sentence_at_start(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_certificates, "_YEARS", timedelta(minutes=-30))
    pem = tmp_path / "host.pem"
    pem.write_bytes(own_certificates.make(["localhost"]).server)
    fails_at_start(city, says="the certificate expired on", SKILLPLAN_TLS_CERT=str(pem), SKILLPLAN_TLS_KEY=str(pem))


def fails_at_start(city: City, says: str, **settings: str) -> None:
    process = city.system.process("recruitment", "api", **city.settings | settings)
    city.system.processes.remove(process)
    process.http.close()
    variables = {name: value for name, value in process.settings.items() if value}
    done = fork_server().run("services.recruitment", ["api"], variables)
    message = done.output.strip()
    assert done.returncode != 0
    assert says in message
    assert len(message.splitlines()) == 1, message
    assert PEPPER not in message


@pytest.fixture(scope="module")
def strict(city: City) -> Process:
    """A process with tight limits: five requests a second a key, two seconds a request, twelve connections."""
    tight = {"SKILLPLAN_RATE": "5", "SKILLPLAN_REQUEST_SECONDS": "2", "SKILLPLAN_CONNECTIONS": "12"}
    return city.system.process("recruitment", "api", **city.settings, **tight).start()


def test_a_key_that_reports_too_fast_is_told_when_to_come_again(city: City, strict: Process) -> None:
    _, secret = city.book.add(Role.DISTRICT, ("/districts/330681/",))
    _, other = city.book.add(Role.DISTRICT, ("/districts/330681/",))
    many = {"content": json.dumps([{}] * 999), "headers": {"content-type": BATCH}}
    assert city.ask(strict, "POST", "/v1/events", secret, **many).status_code == 200  # a whole batch is always taken
    refused = city.ask(strict, "POST", "/v1/events", secret, **many)
    check_problem(refused, 429)
    assert 100 < int(refused.headers["retry-after"]) <= 200
    assert city.ask(strict, "GET", OWN, other).status_code == 404  # another key has its own
    assert strict.http.get("/readyz").status_code == 200


def test_a_client_that_does_not_finish_is_cut_off(strict: Process) -> None:
    """Headers a byte at a time, a body that never comes, nothing at all, a refused body that goes on for ever."""
    begun = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    for head in (b"", b"POST /v1/ev", begun, begun + b"content-length: 1000\r\n\r\n{"):
        began = time.monotonic()
        with raw(strict) as client:
            client.sendall(head)
            with contextlib.suppress(OSError):
                for _ in range(200):
                    if head:
                        client.send(b"x" if b"\r\n\r\n" in head else b"a")
                    client.settimeout(0.1)
                    with contextlib.suppress(TimeoutError):
                        if client.recv(65536) == b"":
                            break
            assert 1 < time.monotonic() - began < 15, head
    eventually(lambda: strict.http.get("/readyz").status_code == 200)


def test_a_slow_request_is_told_so(city: City, strict: Process) -> None:
    key = city.keys["district"].encode()
    head = (
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key
        + b"\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"
    )  # fmt: skip
    with raw(strict) as client:
        client.sendall(head)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_who_does_not_read_the_answer_is_cut_off(city: City, strict: Process) -> None:
    head = f"GET /openapi.json HTTP/1.1\r\nhost: x\r\nx-pad: {'p' * 1000}\r\n\r\n".encode()
    with raw(strict) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(15)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 15:
                client.sendall(head * 50)
        assert time.monotonic() - began < 14
    eventually(lambda: strict.http.get("/readyz").status_code == 200)


def test_more_connections_than_allowed_are_told_so(strict: Process) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(raw(strict)) for _ in range(16)]
        answers = []
        for client in clients:
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError, ConnectionError):
                answers.append(client.recv(65536))
        assert [answer[:13] for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    eventually(lambda: strict.http.get("/readyz").status_code == 200)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nhost: x\r\na: " + b"b" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"p" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nhost: x\r\na: " + b"b" * 900_000, 431),
        (b"nonsense " + SECRET_WORD.encode() + b"\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET /%ff%00" + SECRET_WORD.encode() + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 401),
    ],
)
def test_what_is_no_request_gets_a_problem(city: City, request_bytes: bytes, status: int) -> None:
    with raw(city.api) as client:
        with contextlib.suppress(OSError):
            client.sendall(request_bytes)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"application/problem+json" in answer
    assert SECRET_WORD.encode() not in answer


def test_every_answer_has_what_none_may_be_without(city: City) -> None:
    word = {"authorization": f"Bearer {city.keys['auditor']}"}
    for process, path, status in (
        (city.api, "/livez", 200),
        (city.api, "/v1/log/head", 200),
        (city.api, f"/v1/{SECRET_WORD}", 404),
        (city.api, f"/v1/log?limit={SECRET_WORD}", 422),
        (city.api, f"/v1/receipts?source={SECRET_WORD}&id={SECRET_WORD}", 404),
        (city.projection, f"/v1/plans/{SECRET_WORD}/progress?as_of={SECRET_WORD}", 503),
        (city.projection, f"/assets/{SECRET_WORD}", 404),
    ):
        answer = process.http.get(path, headers=word)
        assert answer.status_code == status, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert SECRET_WORD not in answer.text
        if status >= 400:
            check_problem(answer)


def test_everything_speaks_tls_once_it_is_told_a_certificate(city: City, tmp_path: Path) -> None:
    """The projection asks a service over TLS, with its key, and trusts the city's own authority only."""
    authority, certificate, key = certificates(tmp_path)
    tls = {"SKILLPLAN_TLS_CERT": str(certificate), "SKILLPLAN_TLS_KEY": str(key)}
    api = city.system.process("recruitment", "api", **city.settings, **tls).start(wait=False)
    url = api.url.replace("http", "https")
    others = {"SKILLPLAN_SERVICES": json.dumps({"recruitment": url})}
    trusting = {"SKILLPLAN_CA": str(authority)}
    good = city.system.process("projection", "api", **city.settings, **others, **trusting).start(wait=False)
    wary = city.system.process("projection", "api", **city.settings, **others).start(wait=False)
    auditor = {"authorization": f"Bearer {city.keys['auditor']}"}
    with httpx.Client(verify=ssl.create_default_context(cafile=str(authority)), base_url=url, timeout=20) as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        answer = client.get("/v1/log/head", headers=auditor)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        httpx.get(f"{url}/livez")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{api.url}/livez")
    eventually(lambda: good.http.get("/livez").status_code == 200)
    eventually(lambda: wary.http.get("/livez").status_code == 200)
    assert city.ask(good, "GET", OWN, city.keys["auditor"]).status_code == 404  # it was asked, and knows of none
    assert city.ask(wary, "GET", OWN, city.keys["auditor"]).status_code == 503


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate of it for 127.0.0.1; return authority, certificate, key."""
    now = datetime.now(UTC)
    ca_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Skillplan test authority")])

    def build(name: x509.Name, public: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return builder.add_extension(names, critical=False).sign(ca_key, hashes.SHA256())

    ca = build(ca_name, ca_key.public_key(), authority=True)
    own = build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")]), own_key.public_key(), authority=False)
    files = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    files[0].write_bytes(ca.public_bytes(pem))
    files[1].write_bytes(own.public_bytes(pem))
    files[2].write_bytes(own_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


def raw(process: Process) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), 20)


def read_all(client: socket.socket) -> bytes:
    client.settimeout(20)
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def check_problem(answer: httpx.Response, status: int | None = None) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == (status or answer.status_code)
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["zh"]
    assert body["en"]
    assert "Traceback" not in answer.text


def test_a_page_of_another_origin_may_ask_when_it_is_named_and_shows_a_key(city: City) -> None:
    preflight = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    for origin, admitted in ((NAMED_ORIGIN, True), ("https://elsewhere.example", False)):
        # The browser asks first, and shows no key.
        before = city.ask(city.projection, "OPTIONS", "/v1/plans", None, headers={"origin": origin, **preflight})
        assert (before.status_code == 200) is admitted
        for key in ("reader", None):
            answer = city.ask(city.projection, "GET", "/v1/plans", key and city.keys[key], headers={"origin": origin})
            assert (answer.headers.get("access-control-allow-origin") == origin) is admitted
            assert (answer.status_code == 401) is (key is None)
