"""Takes what a release leaves behind: `python -m tests.releases STATE CHECKOUT` asks an installation that runs it.

STATE: the state folder of an installation of that release, with some facts in it, and nobody reporting. CHECKOUT: a
tree of the release, for its schemas and codes. The folder is named after its commit, and never changed afterwards: a
database as `make upgrade` finds it, the exact bytes on the topics, the numbers as they were then, and what the release
promised (schemas, APIs, topics, codes), of which a later one may take nothing away.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import yaml
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import databases, postgres
from deploy.local.installation import Installation, load
from services.catalogue import SERVICES, WITH_DATABASE
from shared.kafka.clients import Broker
from tests.harness.topics import whole

FOLDER: Final = Path(__file__).resolve().parent
PLAN: Final = "shaoxing-2023-2025"
# Days and districts whose numbers are kept; all of them as known at the moment of the taking.
DAYS: Final = ("2023-12-31", "2024-05-17", "2025-12-31")
DISTRICTS: Final = (None, "330600", "330602", "330681")


def write(file: Path, content: Any) -> None:
    """Write JSON, compressed; the same content gives the same bytes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read(release: str, name: str) -> Any:
    """Return what was kept of a release under a name."""
    return json.loads(gzip.decompress((FOLDER / release / f"{name}.json.gz").read_bytes()))


def releases() -> list[str]:
    """Return the releases of which something is kept, by their commits, the oldest first."""
    commits = [file.parent.name for file in FOLDER.glob("*/numbers.json.gz")]
    return sorted(commits, key=lambda release: str(read(release, "numbers")[0]["asked"]["known_at"]))


def last() -> str:
    """Return the last release, from which nothing may be taken away."""
    return releases()[-1]


def _dump(installation: Installation, service: str) -> str:
    """Return a database as statements that any client can run: no tool of PostgreSQL is needed to restore it."""
    binaries = [binaries.folder / "pg_dump" for binaries in postgres.find_binaries()]
    program = next((str(file) for file in binaries if file.exists()), shutil.which("pg_dump"))
    assert program, "no pg_dump"
    address = urlsplit(installation.superuser)
    dsn = databases.without_password(address._replace(path=f"/{service}").geturl())
    environment = {**os.environ, "PGPASSWORD": unquote(address.password or "")}
    command = [program, "--format=plain", "--rows-per-insert=200", dsn]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return "\n".join(line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\")))


async def _settings(broker: Broker, names: list[str]) -> dict[str, dict[str, int]]:
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        described = await admin.describe_topics(names)
    finally:
        await admin.close()
    return {topic["topic"]: {"partitions": len(topic["partitions"])} for topic in described}


async def _names(broker: Broker) -> list[str]:
    consumer = AIOKafkaConsumer(**broker.client())
    await consumer.start()
    try:
        return sorted(name for name in await consumer.topics() if not name.startswith("_"))
    finally:
        await consumer.stop()


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _topics(broker: Broker) -> dict[str, Any]:
    """Return every topic with what stands on it: facts and receipts as they are, of reports only how many."""
    names = asyncio.run(_names(broker))
    topics: dict[str, Any] = dict(asyncio.run(_settings(broker, names)))
    for name in names:
        if ".reports." not in name:  # raw reports hold identity numbers, and are decided
            messages = whole(broker.servers, name)
            topics[name]["messages"] = [
                [_text(message.key), _text(message.value), [[key, _text(value)] for key, value in message.headers]]
                for message in messages
            ]
    return topics


def _numbers(installation: Installation) -> list[dict[str, Any]]:
    """Return the progress of the plan on some days and for some districts, each with its parameters."""
    url = f"{installation.url('projection')}/v1/plans/{PLAN}/progress"
    with httpx.Client(timeout=60, trust_env=False, headers=installation.credentials) as client:
        known_at = client.get(url).json()["known_at"]
        answers = []
        for day in DAYS:
            for district in DISTRICTS:
                question = {"as_of": day, "known_at": known_at} | ({"district": district} if district else {})
                answer = client.get(url, params=question)
                answer.raise_for_status()
                answers.append({"asked": question, "answer": answer.json()})
    return answers


def _promised(installation: Installation, checkout: Path, topics: dict[str, Any]) -> dict[str, Any]:
    """Return what a release promises to senders and readers."""
    apis = {}
    with httpx.Client(timeout=60, trust_env=False, headers=installation.credentials) as client:
        for service in SERVICES:
            if service in installation.ports:
                apis[service] = client.get(f"{installation.url(service)}/openapi.json").raise_for_status().json()
    fixes = yaml.safe_load((checkout / "docs" / "fixes.yaml").read_text(encoding="utf-8"))
    schemas = sorted((checkout / "docs" / "events").glob("*.json"))
    return {
        "schemas": {file.name: json.loads(file.read_text(encoding="utf-8")) for file in schemas},
        "apis": apis,
        "topics": {name: topic["partitions"] for name, topic in topics.items()},
        "codes": {status: sorted(codes) for status, codes in fixes.items()},
    }


def take(installation: Installation, checkout: Path, release: str) -> None:
    """Take everything into the release's folder, which must not be there yet."""
    folder = FOLDER / release
    folder.mkdir()
    topics = _topics(Broker(installation.bootstrap))
    write(folder / "databases.json.gz", {service: _dump(installation, service) for service in WITH_DATABASE})
    # Of made-up persons: what they seal is in the databases, and a service asks for the key that made its own.
    write(folder / "keys.json.gz", {"city": installation.city_key, **installation.service_keys})
    write(folder / "topics.json.gz", topics)
    write(folder / "numbers.json.gz", _numbers(installation))
    write(folder / "promised.json.gz", _promised(installation, checkout, topics))


def main() -> None:
    """Take it."""
    parser = argparse.ArgumentParser(prog="python -m tests.releases", description=__doc__)
    parser.add_argument("state", type=Path, help="状态文件夹 the state folder of a running installation")
    parser.add_argument("checkout", type=Path, help="该版本的代码 a tree of the release")
    parser.add_argument("release", help="该版本的提交 the release's commit, seven digits")
    options = parser.parse_args()
    take(load(options.state.resolve()), options.checkout.resolve(), options.release)


if __name__ == "__main__":
    main()
