"""Faults of three hosts: a broker, the leading database, a whole host, and the network between two halves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address
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
    """Kill the server process of the primary twenty times, each time once all is well again: the pauses are apart."""
    times, who, killed, began = 20, list[str](), 0, time.monotonic()
    for number in range(times):
        time.sleep(max(0.0, began + number * held / times - time.monotonic()))
        eventually(hosts.ready, PATIENCE)
        who.append(eventually(hosts.whole, PATIENCE) or "")
        killed = eventually(partial(hosts.kill_database, killed), PATIENCE)
        with (hosts.system.folder / "kills.log").open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S.%f} {who[-1]}\n")
    eventually(hosts.whole, PATIENCE)
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


def _keeper_lost(hosts: Hosts, held: float) -> str:
    """Have a backup taken and restored on trial, start a second keeper on another host, then end the first.

    Waits for `held` seconds at least.
    """
    began = time.monotonic()
    (host,) = (host for host in hosts.cluster.hosts if host.backups)
    first, other = hosts.unit(host.name, "backup-keeper"), hosts.cluster.hosts[0]
    tested = hosts.folder / host.name / "data" / "backups" / "restore-test.json"
    eventually(tested.is_file, PATIENCE)
    result = json.loads(tested.read_text(encoding="utf-8"))
    assert not result["problems"], result
    second = hosts.beside(first, other.name)
    second.start()
    try:
        eventually(lambda: "another" in _warning(other.address), PATIENCE)
        assert "another" not in _warning(host.address)
        first.stop()
        eventually(lambda: "another" not in _warning(other.address), PATIENCE)
    finally:
        second.stop()
        first.start()
    time.sleep(max(0.0, held - (time.monotonic() - began)))
    return f"{result['facts']} 条事实试恢复无误 facts restored on trial; 另一处接手 the other took its turn"


def _warning(address: IPv4Address) -> str:
    """Return what the keeper on a host warns of concerning backups."""
    with contextlib.suppress(httpx.HTTPError):
        answer = httpx.get(f"https://{address}:8090/readyz", verify=False, timeout=5)  # noqa: S501 - by its address
        return str(answer.json().get("warnings", {}).get("backup", ""))
    return ""


HOST_FAULTS: Final = (
    Fault("三台:保存备份的进程被停", "three hosts: backup keeper ended", _keeper_lost, held=30, hosts=True),
    Fault("三台:一个 Kafka 被杀", "three hosts: broker lost", _broker_lost, held=20, hosts=True),
    Fault("三台:一台的全部进程被杀", "three hosts: host killed", _host_killed, held=30, hosts=True),
    Fault("三台:网络被切成两半", "three hosts: network cut", _cut, held=30, hosts=True),
    Fault("三台:主库连续被杀", "three hosts: leader database killed", _leader_killed, held=300, hosts=True),
)


def suffer_on_hosts(hosts: Hosts, fault: Fault, reports: int, seconds: float, held: float) -> FaultRow:
    """Send reports by both doors while the fault holds; return what became of them, and the longest pause."""
    mark = f"{re.sub('[^a-z]', '-', fault.en)}-{time.monotonic_ns()}"
    sent = [person_hired(f"{mark}-{n}") for n in range(reports)]
    hosts.victim = eventually(hosts.replicated, PATIENCE) or ""
    # By another host's HAProxy: a district that comes by the one that is lost tries the next address.
    door = next(f"https://{host.address}" for host in hosts.cluster.hosts if host.name != hosts.victim)
    row = FaultRow(fault, held, reports)
    with flowing(door, hosts.system.kafka, sent[::2], sent[1::2], seconds, PATIENCE + seconds, hosts.key, 5) as flow:
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
    """Return the longest time in which nothing of what came by one of the doors was recorded, in seconds.

    All that are over a second are written down beside the logs, to be laid beside what those say of that time.
    """
    sql = "select recorded_at from fact where report_id = any($1) order by recorded_at"
    pauses: list[tuple[float, str]] = []
    for door, by_door in (("http", sent[::2]), ("kafka", sent[1::2])):
        rows = hosts.system.query(_SERVICE, sql, [report["id"] for report in by_door])
        for earlier, later in pairwise(row["recorded_at"] for row in rows):
            pauses.append(((later - earlier).total_seconds(), f"{earlier:%H:%M:%S.%f} {door}"))
    lines = [f"{began} {pause:.1f} s\n" for pause, began in sorted(pauses, reverse=True) if pause > 1]
    (hosts.system.folder / "pauses.log").write_text("".join(lines), encoding="utf-8")
    return max(pauses)[0]
