"""Faults of three hosts: a broker, the leading database, a whole host, and the network between two halves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from itertools import pairwise
from typing import Final

import httpx

from services.catalogue import SERVICES
from tests.conftest import ROOT
from tests.faults.table import PATIENCE, Fault, FaultRow, accepted
from tests.harness.hosts import Hosts
from tests.harness.processes import eventually
from tests.harness.reports import Report, person_hired
from tests.harness.topics import check_log, standing
from tests.harness.traffic import flowing

_SERVICE: Final = "recruitment"


def _broker_lost(hosts: Hosts, held: float) -> str:
    broker = hosts.unit("two", "kafka")
    broker.stop(signal.SIGKILL)
    time.sleep(held)
    broker.start()
    return ""


def _leader_killed(hosts: Hosts, held: float) -> str:
    """Kill the server process of the primary twenty times, each time as soon as a standby could take over again."""
    times, who = 20, list[str]()
    for _ in range(times):
        who.append(eventually(hosts.replicated, PATIENCE) or "")
        hosts.kill_database()
        time.sleep(held / times)
    changes = sum(before != after for before, after in pairwise(who))
    return f"{times} 次 kills; 其中换主 of which another took over: {changes}"


def _host_killed(hosts: Hosts, held: float) -> str:
    """Kill all that runs on the host of the primary, and start it again afterwards."""
    victim = hosts.victim
    for unit in hosts.units[victim]:
        unit.wanted = False
    for unit in hosts.units[victim]:
        unit.kill()
    time.sleep(held)
    meanwhile = hosts.primary()
    for unit in hosts.units[victim]:
        unit.stop(signal.SIGKILL)
        unit.start()
    assert meanwhile not in (None, victim), "nobody took over"
    return f"主库 primary: {victim} → {meanwhile}"


def _cut(hosts: Hosts, held: float) -> str:
    """Cut the host of the primary off from the two others."""
    with hosts.cut_off(hosts.victim):
        time.sleep(held)
        meanwhile = hosts.primary()
    assert meanwhile not in (None, hosts.victim), "nobody took over"
    return f"{hosts.victim} 与另两台之间 from the two others; 主库 primary: {hosts.victim} → {meanwhile}"


HOST_FAULTS: Final = (
    Fault("三台:一个 Kafka 被杀", "three hosts: broker lost", _broker_lost, held=20, hosts=True),
    Fault("三台:一台的全部进程被杀", "three hosts: host killed", _host_killed, held=30, hosts=True),
    Fault("三台:网络被切成两半", "three hosts: network cut", _cut, held=30, hosts=True),
    Fault("三台:主库连续被杀", "three hosts: leader database killed", _leader_killed, held=60, hosts=True),
)


def suffer_on_hosts(hosts: Hosts, fault: Fault, reports: int, seconds: float, held: float) -> FaultRow:
    """Send reports by both doors while the fault holds; return what became of them, and the longest pause."""
    mark = f"{re.sub('[^a-z]', '-', fault.en)}-{time.monotonic_ns()}"
    sent = [person_hired(f"{mark}-{n}") for n in range(reports)]
    hosts.victim = eventually(hosts.replicated, PATIENCE) or ""
    # By another host's HAProxy: a district that comes by the one that is lost tries the next address.
    door = next(f"https://{host.address}" for host in hosts.cluster.hosts if host.name != hosts.victim)
    row = FaultRow(fault, held, reports)
    with flowing(door, hosts.system.kafka, sent[::2], sent[1::2], seconds, PATIENCE, hosts.key, 5) as flow:
        time.sleep(1)
        row.note = fault.done(hosts, held)
    row.rate = row.sent / flow.took
    over = time.monotonic()
    eventually(lambda: all(receipt is not None for receipt in standing(hosts.system, _SERVICE, sent)), PATIENCE)
    eventually(lambda: _counted(hosts), PATIENCE)
    eventually(hosts.ready, PATIENCE)
    row.lag_gone = time.monotonic() - over
    facts = Counter((fact["reportsource"], fact["reportid"]) for fact in check_log(hosts.system, _SERVICE))
    ours = {(report["source"], report["id"]) for report in sent}
    row.lost = sum(not facts[report] for report in ours)
    row.twice = sum(facts[report] > 1 for report in ours)
    row.accepted = accepted(hosts.system, sent)
    row.recount = _recount(hosts)
    row.pause = _longest_pause(hosts, sent)
    return row


def _counted(hosts: Hosts) -> bool:
    """Tell whether the projector that writes has counted the log whole."""
    position = hosts.system.query(_SERVICE, "select position from log_head")[0][0]
    for host in hosts.cluster.serving:
        url = f"https://{host.address}:{SERVICES['projection'].probes['projector']}/metrics"
        text = httpx.get(url, verify=False, timeout=5).text  # noqa: S501 - it is asked by its address
        counted = re.search(rf'projection_position{{service="{_SERVICE}"}} (\S+)', text)
        if counted is not None and float(counted[1]) == position:
            return True
    return False


def _recount(hosts: Hosts) -> int:
    """Let the projection recount its ledger on a host; 0 when it is equal."""
    unit = hosts.unit("two", "projection-projector")
    command = [*unit.command[:-1], "recount"]
    environment = {**os.environ, **unit.settings}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=PATIENCE
    ).returncode


def _longest_pause(hosts: Hosts, sent: list[Report]) -> float:
    """Return the longest time in which nothing of what came by one of the doors was recorded, in seconds."""
    sql = "select recorded_at from fact where report_id = any($1) order by recorded_at"
    pauses: list[float] = []
    for by_door in (sent[::2], sent[1::2]):
        rows = hosts.system.query(_SERVICE, sql, [report["id"] for report in by_door])
        moments = [row["recorded_at"].timestamp() for row in rows]
        pauses.append(max(later - earlier for earlier, later in pairwise(moments)))
    return max(pauses)
