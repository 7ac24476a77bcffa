"""Tools that do a part of the same, on the same machine: `make bench ARGS=--peers`, where they are to be had.

Kafka Streams counts the same facts to numbers, exactly once, each person once a year by the earliest hire; its jars
come by jgo, and a JDK compiles its program. UmaDB appends as many as our API is sent, by its Python client from uv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.kafka.topics import Topic, create
from deploy.local.jars import KAFKA
from shared.kafka.clients import Broker
from tests.bench.hops import CLIENTS, Sizes, new_run
from tests.bench.meter import Meter, Section
from tests.bench.report import BenchRow
from tests.conftest import ROOT
from tests.harness.bench import BenchServers
from tests.harness.ports import any_free
from tests.harness.processes import eventually, run

_STREAMS: Final = f"org.apache.kafka:kafka-streams:{KAFKA}+org.slf4j:slf4j-simple:1.7.36"
_RESOLVE: Final = "import sys, jgo; jgo.build(sys.argv[1], cache_dir=sys.argv[2])"
_JARS: Final = ROOT / ".cache" / f"kafka-streams-{KAFKA}"
_UMADB: Final = "umadb==0.7.8"
_THREADS: Final = 2
_PATIENCE: Final = 600
_PIECE: Final = 500_000


def measure_peers(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Measure what is to be had; a row without a number says what is missing."""
    return [_measure_streams(servers, sizes), *_measure_umadb(servers, sizes)]


def _measure_streams(servers: BenchServers, sizes: Sizes) -> BenchRow:
    row = BenchRow(f"17 Kafka Streams {KAFKA}, exactly once", "facts", aim=None)
    javac = shutil.which("javac")
    if javac is None:
        row.note = "not measured: no javac (a JDK) on the path"
        return row
    if not _JARS.is_dir() and (problem := _fetch()):
        row.note = f"not measured: {problem}"
        return row
    facts = sizes.lengths[-1]
    with servers.system(), tempfile.TemporaryDirectory() as folder:
        jars = os.pathsep.join(map(str, sorted(_JARS.rglob("*.jar"))))
        subprocess.run([javac, "-cp", jars, "-d", folder, Path(__file__).with_name("DistinctMembers.java")], check=True)
        topic = f"peer-{new_run()}"
        run(create(Broker(servers.kafka), [Topic(topic, 1)]))
        for first in range(1, facts + 1, _PIECE):
            piece = {"first": first, "count": min(_PIECE, facts + 1 - first), "corrected_every": 0, "topic": topic}
            servers.run("made_facts", piece)
        command = ["java", "-cp", os.pathsep.join((folder, jars)), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += ["DistinctMembers", servers.kafka, topic, str(facts), topic, folder, str(_THREADS)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        meter = Meter({"Kafka Streams": child.pid, "kafka": servers.broker})
        assert child.stdout is not None
        counted = child.stdout.readline()
        if counted.split()[:2] != ["counted", str(facts)]:
            child.kill()
            raise RuntimeError(f"Kafka Streams: {counted} {child.communicate()[1][-2000:]}")
        row.ours.append(meter.section(facts))
        child.communicate(timeout=_PATIENCE)
    row.note = (
        f"{facts:,} facts to counts in its own stores, with the start; beside row 15, which counts into a database"
    )
    return row


def _fetch() -> str:
    """Get the jars; return what went wrong."""
    with tempfile.TemporaryDirectory() as room:
        environment = {**os.environ, "M2_REPO": f"{room}/m2", "XDG_RUNTIME_DIR": room, "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _RESOLVE, _STREAMS, f"{room}/jgo"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_PATIENCE,
        )  # fmt: skip
        if done.returncode:
            return f"jgo could not get Kafka Streams ({(done.stderr.strip().splitlines() or ['?'])[-1][:200]})"
        ready = Path(room, "ready")
        ready.mkdir()
        for jar in Path(room, "jgo").rglob("*.jar"):
            shutil.copy(jar, ready / jar.name)
        shutil.copytree(ready, _JARS)
    return ""


def _measure_umadb(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    rows = [
        BenchRow(f"17 append to UmaDB, {how}", "reports", aim=None)
        for how in (f"{CLIENTS} threads, one an append", "4 threads, by 100")
    ]
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet", "tool", "run", "--from", _UMADB]
    if subprocess.run([*uv, "umadb", "--version"], capture_output=True, check=False).returncode:
        for row in rows:
            row.note = f"not measured: uv could not get {_UMADB}"
        return rows
    with tempfile.TemporaryDirectory(dir=servers.folder) as folder:
        (port,) = any_free(1)
        listen = f"127.0.0.1:{port}"
        server = subprocess.Popen(
            [*uv, "umadb", "--listen", listen, "--db-path", f"{folder}/uma.db"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for row, threads, each in zip(rows, (CLIENTS, 4), (1, 100), strict=True):
                row.ours.append(_append(uv, listen, server.pid, threads, each, sizes.appends))
                row.note = "beside row 1: as many bytes, with nothing decided, sealed or answered"
        finally:
            server.terminate()
            server.wait(20)
    return rows


def _append(uv: list[str], listen: str, server: int, threads: int, each: int, count: int) -> Section:
    program = ["python", str(Path(__file__).with_name("umadb_client.py")), listen, str(threads), str(each), str(count)]
    command = [uv[0], "--quiet", "run", "--no-project", "--with", _UMADB, *program]

    def answered() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        return done.stdout

    meter = Meter({"UmaDB": server})
    seconds, spent = map(float, eventually(answered, _PATIENCE).split())
    section = meter.section(count)
    section.seconds = seconds
    section.cpu["client"] = spent
    return section
