"""All services at once: the demo's mix from Kafka to counted, what is heard of other services, corrections, idling."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from client.demo.feed import feed as demo_feed
from services.catalogue import COUNTED, DOMAIN_SERVICES
from services.projection.counting.facts import LOGS
from tests.bench.hops import Sizes, new_run, watch
from tests.bench.meter import Meter
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.processes import DISTRICTS, System, eventually
from tests.harness.topics import OutgoingMessage, publish

_PATIENCE = 600.0
_SETTLED = 15.0
_IDLE = 30.0
# The first answers to reports; what waited is answered again.
_ANSWERED = "select count(*) from receipt where decision is null or decision = 1"
_COUNTED = "select service, position from numbers.g1_checkpoint"
_EACH = 20


def measure_whole_road(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Publish the demo's mix at once; it is counted by all services and the projection, side by side."""
    row = BenchRow("10 whole road, demo's mix", "reports", aim=None, note="Kafka → decided, relayed, heard and counted")
    with servers.system() as system:
        planned = [(report.due, report.envelope) for report in demo_feed(sizes.mix)]
        processes = [system.process(service, "worker").start(wait=False) for service in COUNTED]
        processes.append(system.process("projection", "projector").start(wait=False))
        for process in processes:
            process.wait_ready()
        groundwork = [_sent(envelope) for due, envelope in planned if due == 0]
        publish(system.kafka, groundwork)
        _wait_until_answered(system, len(groundwork))
        reports = [_sent(envelope) for due, envelope in planned if due > 0]
        meter = Meter({f"{each.service} {each.command}": pid_of(each) for each in processes} | servers.parts)
        publish(system.kafka, reports)
        _wait_until_answered(system, len(planned))
        eventually(lambda: _heads(system) == _counted(system), _PATIENCE, 0.1)
        row.ours.append(meter.section(len(reports)))
        servers.note_peaks(system)
    return [row]


def _sent(envelope: dict[str, Any]) -> OutgoingMessage:
    service, district = envelope["type"].split(".")[1], envelope["source"].split("/")[2]
    service = service if service in COUNTED else COUNTED[0]
    return OutgoingMessage(
        f"{service}.reports.{district}", str(envelope.get("subject", "")).encode(), orjson.dumps(envelope)
    )


def _wait_until_answered(system: System, reports: int) -> None:
    eventually(
        lambda: sum(system.query(service, _ANSWERED)[0][0] for service in COUNTED) >= reports, _PATIENCE, pause=0.5
    )


def _heads(system: System) -> dict[str, int]:
    return {service: system.query(service, "select position from log_head")[0][0] for service in COUNTED}


def _counted(system: System) -> dict[str, int]:
    rows = system.query("projection", _COUNTED, as_role=True)
    return {row["service"]: row["position"] for row in rows if row["service"] in COUNTED}


def measure_hearing(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Let subsidy hear certificates, on which nothing waits yet."""
    row = BenchRow("11 hearing", "facts", aim=None, note="competition.events → evidence in subsidy's database")
    with servers.system() as system:
        run = new_run()
        publish(system.kafka, (_fact("competition", at, _certificate(at, run)) for at in range(1, sizes.heard + 1)))
        worker = system.process("subsidy", "worker").start(wait=False)
        heard = "select position from subscription where service = 'competition'"
        pids = {"worker": pid_of(worker), **servers.parts}
        row.ours.append(watch(system, "subsidy", f"select coalesce(({heard}), 0)", 0, sizes.heard, pids))
    return [row]


def measure_hard_mix(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Count facts of two services of which a tenth are corrections, a tenth retractions, and a tenth late."""
    row = BenchRow(
        "12 Kafka → ledger, hard mix", "facts", aim=None, note="two services, 20 % taken back or corrected, 10 % late"
    )
    with servers.system() as system:
        logs = [_hard(service, sizes.heard // 2) for service in ("recruitment", "competition")]
        publish(system.kafka, chain.from_iterable(zip(*logs, strict=True)))
        projector = system.process("projection", "projector").start(wait=False)
        sql = "select sum(position)::bigint from numbers.g1_checkpoint"
        pids = {"projector": pid_of(projector), **servers.parts}
        row.ours.append(watch(system, "projection", sql, 0, sizes.heard // 2 * 2, pids))
        servers.note_peaks(system)
    return [row]


def _hard(service: str, count: int) -> Iterator[OutgoingMessage]:
    """Yield a log: of twenty facts two correct, two retract one of the last twenty, and two are of a year before."""
    for at in range(1, count + 1):
        turn, earlier = at % _EACH, at - _EACH // 2
        made = _certificate(at, service) if service == "competition" else _hire(at, service)
        if earlier > 0 and turn in (11, 13):  # the originals are plain ones: 1 and 3
            other = _certificate(earlier, service) if service == "competition" else _hire(earlier, service)
            other["data"][_DATED[service]] = "2024-11-30"
            yield _fact(service, at, other | {"corrects": f"b{earlier}"})
        elif earlier > 0 and turn in (15, 17):
            taken = {
                "type": f"skillplan.{service}.report-retracted.v1",
                "subject": _subject(service, earlier, service),
                "data": {"report_id": f"b{earlier}", "reason": "measured"},
            }
            yield _fact(service, at, taken)
        else:
            if turn in (18, 19):
                made["data"][_DATED[service]] = "2023-01-05"
            yield _fact(service, at, made)


_DATED = {"recruitment": "hired_on", "competition": "issued_on"}


def _subject(service: str, at: int, run: str) -> str:
    return f"certificate/{run}-{at}" if service == "competition" else f"hire/{run}-{at}"


def _certificate(at: int, run: str) -> dict[str, Any]:
    return {
        "type": "skillplan.competition.certificate-issued.v1",
        "subject": _subject("competition", at, run),
        "data": {
            "person": {"token": f"{at:032x}", "sealed": "x" * 120},
            "kind": "skill-level",
            "occupation_code": "6-18-01-01",
            "occupation_name": "车工",
            "level": "3",
            "issuer_kind": "enterprise",
            "issuer": {"credit_code": "91330681MA2DEM0X0G", "name": "示例机械有限公司"},
            "issued_on": f"2024-{at % 12 + 1:02}-{at % 28 + 1:02}",
        },
    }


def _hire(at: int, run: str) -> dict[str, Any]:
    return {
        "type": "skillplan.recruitment.person-hired.v1",
        "subject": _subject("recruitment", at, run),
        "data": {
            "person": {"token": f"{at // 2:032x}", "sealed": "x" * 120},  # every person twice
            "enterprise": {"credit_code": "91330681MA2DEM0X0G", "name": "示例机械有限公司"},
            "channel": "gold-blue-collar",
            "occupation_code": "6-18-01-01",
            "hired_on": f"2024-{at % 12 + 1:02}-{at % 28 + 1:02}",
        },
    }


def _fact(service: str, position: int, made: dict[str, Any]) -> OutgoingMessage:
    district = DISTRICTS[position % len(DISTRICTS)]
    envelope = {
        "specversion": "1.0",
        "id": f"00000000-0000-7000-8000-{position:012d}",
        "source": f"/services/{service}",
        "time": "2024-12-30T10:00:00+08:00",
        "district": district,
        "datacontenttype": "application/json",
        "position": position,
        "version": 1,
        "recordedat": f"2026-01-{position // 86_400_000 + 1:02}T{_clock(position)}Z",
        "reportsource": "/districts/330602/bench",
        "reportid": f"b{position}",
        "correlationid": f"c{position}",
        "causationid": f"b{position}",
    } | made
    return OutgoingMessage(f"{service}.events", str(envelope["subject"]).encode(), orjson.dumps(envelope))


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds % 86_400_000, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}000"


def measure_idle(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Let every process of an installation wait for something to do; nobody reads."""
    row = BenchRow("13 idle, all processes", "seconds", aim=None)
    with servers.system() as system:
        commands = [(service, command) for service in LOGS for command in DOMAIN_SERVICES[service].commands]
        processes = [
            system.process(service, command).start(wait=False)
            for service, command in (*commands, ("projection", "projector"))
        ]
        doors = json.dumps({service: system.the(service, "api").url for service in LOGS})
        processes += [
            system.process(service, "api", SKILLPLAN_SERVICES=doors).start(wait=False)
            for service in ("projection", "gateway")
        ]
        for process in processes:
            process.wait_ready()
        time.sleep(_SETTLED * sizes.times)
        meter = Meter({f"{each.service} {each.command}": pid_of(each) for each in processes} | servers.parts)
        time.sleep(_IDLE * sizes.times)
        section = meter.section(max(1, round(_IDLE * sizes.times)))
        section.extra = {"cores": sum(section.cpu.values()) / section.seconds}
        row.ours.append(section)
        row.note = f"{section.extra['cores']:.3f} of a core"
    return [row]
