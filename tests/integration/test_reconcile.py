"""`make reconcile` on a live system: equal while reports flow, and the first difference of each hop by its position."""

from __future__ import annotations

import json

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.operations.hops.comparison import Compared, to_json
from deploy.operations.reconcile import Places, compare
from shared.kafka.clients import Broker
from tests.harness.processes import System, _fetch, eventually, run
from tests.harness.reports import certificate_issued, person_hired, standard_set, subsidy_claimed
from tests.harness.topics import STRUCTURED, publish, settle, structured
from tests.harness.traffic import flowing

pytestmark = pytest.mark.waits

SERVICES = ("competition", "recruitment", "subsidy")
CLAIMS = 5


def places(system: System) -> Places:
    return Places({name: database.dsn for name, database in system.databases.items()}, Broker(system.kafka))


def compared(system: System) -> dict[str, Compared]:
    results = run(compare(places(system)))
    assert json.loads(to_json(results, 0))["equal"] == (not any(result.differences for result in results))
    return {result.service: result for result in results}


def differences(system: System) -> dict[tuple[str, str], int | None]:
    return {
        (service, hop): difference.position
        for service, result in compared(system).items()
        for hop, difference in result.differences.items()
    }


def test_reconcile_is_equal_beside_live_work_and_names_the_first_difference_of_each_hop(system: System) -> None:
    system.start_services(*SERVICES)
    system.start("projection", "projector")
    # The standard is the city's, on a topic of its own: it comes in before a claim is decided by it.
    publish(system.kafka, [structured(standard_set("r"))])
    eventually(lambda: system.query("subsidy", "select position from log_head")[0][0] == 1)
    first = [*(subsidy_claimed(f"r-{n}") for n in range(CLAIMS)), subsidy_claimed("never")]
    first += [certificate_issued(f"r-{n}") for n in range(CLAIMS)]
    publish(system.kafka, map(structured, first))
    hires = [person_hired(f"r-{n}") for n in range(300)]
    with flowing(system.the("recruitment", "api").url, system.kafka, hires[::2], hires[1::2], 4) as flow:
        while not flow.ended:
            assert differences(system) == {}
    eventually(lambda: system.query("subsidy", "select position from log_head")[0][0] == 1 + 2 * CLAIMS)
    for service in SERVICES:
        settle(system, service)

    def counted() -> bool:
        results = compared(system)
        facts = sum(results[service].counts["facts"] for service in SERVICES)
        reached = _numbers(system, "select sum(position) as sum from g.checkpoint")[0]["sum"]
        return results["subsidy"].counts["heard"] == CLAIMS + 300 and reached == facts

    eventually(counted)
    _spoil(system)
    _numbers(system, "delete from g.standing where service = 'recruitment' and position = 250")
    _numbers(system, "update g.cell set value = value + 1 where effective_on = '2024-03-01'")
    assert differences(system) == {
        ("competition", "receipts"): 3,
        ("competition", "receipts ↔ log"): 3,
        ("competition", "receipts → topic"): None,
        ("competition", "log"): 2,
        ("competition", "log → topic"): 2,
        ("recruitment", "log → topic"): 301,
        ("recruitment", "receipts → topic"): None,
        ("recruitment", "topic → ledger"): 250,
        ("subsidy", "recruitment.log → heard"): 100,
        ("projection", "ledger ↔ cells"): None,
    }


def _numbers(system: System, sql: str) -> list[asyncpg.Record]:
    """Ask the tables of the generation that is read; they belong to the role."""
    number = system.query("projection", "select generation from head")[0][0]
    return run(_fetch(system.databases["projection"].dsn, sql.replace(" g.", f" numbers.g{number}_")))


def _spoil(system: System) -> None:
    """Harm each hop at a place of its own."""
    system.query("competition", "delete from receipt where number = 3")
    system.query("competition", "update fact set sha256 = sha256('x') where position = 2")
    system.query("subsidy", "delete from heard where service = 'recruitment' and position = 100")
    last = system.query("recruitment", "select stream, bytes from fact where position = 300")[0]
    receipt = system.query("recruitment", "select bytes from receipt where number = 1")[0]["bytes"]

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=system.kafka)
        await producer.start()
        beyond = last["bytes"].replace(b'"position":300', b'"position":301')
        await producer.send_and_wait("recruitment.events", beyond, last["stream"].encode(), headers=list(STRUCTURED))
        other = json.dumps(json.loads(receipt) | {"decided_at": "2024-01-01T00:00:00.000000Z"}).encode()
        await producer.send_and_wait("receipts.330681", other, b"x")
        await producer.stop()

    run(send())
