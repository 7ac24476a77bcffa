"""The log's Merkle tree on the real stack: what a service publishes is the tree of what it recorded and sent."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import asyncpg
import httpx
import pytest

from shared.log.checkpoints import LogSigner
from tests.harness.processes import LOG_KEY, System, eventually
from tests.harness.reports import person_hired
from tests.harness.topics import settle
from tests.unit.test_tree import consistent, defined, included

pytestmark = pytest.mark.waits

SERVICES = ("recruitment",)
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}


def post(system: System, name: str, count: int) -> None:
    reports = [person_hired(f"{name}-{n}") for n in range(count)]
    answer = system.the("recruitment", "api").http.post("/v1/events", json=reports, headers=BATCH)
    assert {receipt["status"] for receipt in answer.json()["results"]} == {"accepted"}


def ask(system: System, path: str, **query: str | int) -> httpx.Response:
    return system.the("recruitment", "api").http.get(f"/v1/log/{path}", params=query)


def checkpoint(system: System) -> tuple[int, bytes]:
    origin, size, root = ask(system, "checkpoint").text.splitlines()[:3]
    assert ask(system, "key").text.startswith(f"{origin}+")
    return int(size), base64.b64decode(root)


def reached(system: System) -> int:
    """Wait until the tree has every fact; return its size."""
    head = system.the("recruitment", "api").http.get("/v1/log/head").json()["position"]
    eventually(lambda: checkpoint(system)[0] >= head)
    return checkpoint(system)[0]


def digests(system: System) -> list[bytes]:
    lines = system.the("recruitment", "api").http.get("/v1/log", params={"format": "ndjson", "limit": 5000}).content
    return [hashlib.sha256(line).digest() for line in lines.splitlines()]


def hashes(answer: httpx.Response) -> list[bytes]:
    return [base64.b64decode(step) for step in answer.json()["proof"]]


def test_the_checkpoint_is_that_of_the_facts_as_they_are_read(running: System) -> None:
    post(running, "first", 300)
    size = reached(running)
    facts = digests(running)
    assert checkpoint(running) == (len(facts), defined(facts))
    signer = LogSigner("recruitment", bytes.fromhex(LOG_KEY))
    assert ask(running, "checkpoint").text == signer.checkpoint(len(facts), defined(facts))
    assert ask(running, "key").text == f"{signer.verifier_key}\n"
    bundle = ask(running, "tile/entries/000").content
    assert [bundle[at + 2 : at + 34] for at in range(0, len(bundle), 34)] == facts[:256]
    leaves = b"".join(hashlib.sha256(b"\0" + fact).digest() for fact in facts)
    assert ask(running, "tile/0/000").content == leaves[: 256 * 32]
    assert ask(running, f"tile/0/{size >> 8:03}.p/1").content == leaves[(size >> 8) * 8192 :][:32]
    assert ask(running, "tile/1/000.p/1").content == defined(facts[:256])


def test_proofs_lead_to_the_checkpoint(running: System) -> None:
    post(running, "proofs", 5)
    old = reached(running)
    before = defined(digests(running)[:old])
    post(running, "more", 40)
    size = reached(running)
    facts = digests(running)
    root = defined(facts)
    for position in (1, old, size):
        answer = ask(running, "proof", position=position)
        leaf = base64.b64decode(answer.json()["leaf"])
        assert leaf == hashlib.sha256(b"\0" + facts[position - 1]).digest()
        assert included(leaf, position - 1, size, hashes(answer)) == root
    assert consistent(old, size, before, hashes(ask(running, "consistency", old=old, size=size))) == (before, root)
    earlier = ask(running, "proof", position=1, size=old)
    assert included(base64.b64decode(earlier.json()["leaf"]), 0, old, hashes(earlier)) == before


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("proof", {"position": 10**9}, 404),
        ("proof", {"position": 2, "size": 1}, 404),
        ("proof", {"position": 0}, 422),
        ("proof", {"position": 1, "known_at": "now"}, 422),
        ("proof", {}, 422),
        ("consistency", {"old": 1, "size": 10**9}, 404),
        ("tile/0/000.p/0", {}, 404),
        ("tile/0/000.p/256", {}, 404),
        ("tile/0/x000/000", {}, 404),
        ("tile/0/0", {}, 404),
        ("tile/0/x999/999", {}, 404),
        ("tile/63/000.p/1", {}, 404),
        ("tile/64/000", {}, 422),
        ("tile/entries/x999/999", {}, 404),
        ("tile/0/000", {"width": 1}, 422),
        ("checkpoint", {"size": 1}, 422),
    ],
)  # fmt: skip
def test_what_is_not_in_the_tree_is_a_clear_error(
    running: System, path: str, query: dict[str, Any], status: int
) -> None:
    answer = ask(running, path, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["zh"]
    assert answer.json()["en"]


def test_a_log_from_before_gets_its_tree_and_the_service_cannot_take_from_it(running: System) -> None:
    post(running, "before", 300)
    size = reached(running)
    worker = running.the("recruitment", "worker")
    worker.stop()
    held = checkpoint(running)
    running.query("recruitment", "truncate tree_tile, tree_node")  # as the migration leaves them
    running.query("recruitment", "update tree set size = 0, edge = ''")
    assert checkpoint(running) == (0, defined([]))
    worker.start(wait=False)
    assert reached(running) >= size
    assert checkpoint(running) == held
    for sql in ("delete from tree_tile", "update tree_tile set hashes = ''", "update tree_node set hash = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            running.query("recruitment", sql, as_role=True)


def test_a_fact_taken_from_the_database_stops_the_tree_and_nothing_else(running: System) -> None:
    """The worker warns; what comes later is decided and sent, and nothing is signed over a hole."""
    post(running, "hole", 3)
    whole = reached(running)
    worker = running.the("recruitment", "worker")
    worker.stop()
    running.query("recruitment", "create table aside as select * from fact where position = $1::bigint", whole - 1)
    running.query("recruitment", "delete from fact where position = $1", whole - 1)
    running.query("recruitment", "truncate tree_tile, tree_node")
    running.query("recruitment", "update tree set size = 0, edge = ''")
    worker.start(wait=False)
    eventually(lambda: "stands still" in worker.http.get("/readyz").json().get("warnings", {}).get("tree", ""))
    post(running, "beside", 3)
    settle(running, "recruitment")
    assert checkpoint(running)[0] < whole
    running.query("recruitment", "insert into fact select * from aside")
    running.query("recruitment", "drop table aside")
    assert reached(running) >= whole + 3
    eventually(lambda: "tree" not in worker.http.get("/readyz").json().get("warnings", {}))
