"""Erasing a person as an act of two people: what can be told of it is told first, then keys go everywhere.

Facts, hashes and numbers stay as they were; the sealed fields open no more. The keys in the services' databases go
last: one that was broken off before is run again and finds the person again.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import httpx
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from deploy.local.console import say, step
from deploy.local.installation import Installation
from deploy.local.refusal import LocalError
from deploy.operations import backup, erasable, inboxes
from deploy.operations.erasure_records import Record, alone
from services.catalogue import DOMAIN_SERVICES
from shared.contract.decoder import Keys, is_whole
from shared.contract.events import format_instant
from shared.contract.identity_numbers import canonical_person
from shared.kafka.clients import Broker
from shared.log.checkpoints import LogSigner
from shared.log.event_store import read_queries
from shared.log.sealing import Seal
from shared.plan.districts import district_codes

_SQL: Final = read_queries("deploy.operations", "erasure.sql")
_ENCODINGS: Final = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_SEPARATORS: Final = re.compile(r"[\W_]+")
_DECIDED_SECONDS: Final = 60.0
_NEVER: Final = 24 * 365 * 100  # hours: the backup of an erasure deletes nothing by itself
_ACCEPTED: Final = ("accepted", "duplicate")


@dataclass(frozen=True)
class Act:
    """Who erases whom and why. `credentials`: the keys of the two, empty while the installation has none."""

    kind: str
    number: str
    by: str
    second: str
    reason: str
    credentials: tuple[str, str] = ("", "")

    def token(self, city_key: str) -> str:
        """Return the person's pseudonym."""
        return Keys(bytes.fromhex(city_key)).token(":".join(canonical_person(self.kind, self.number)))


@dataclass(frozen=True)
class ErasureSites:
    """Where it is done: installation, planning's address, the broker as a service's user, more folders of backups."""

    installation: Installation
    planning: str
    broker_of: Callable[[str], Broker]
    backups: tuple[Path, ...] = ()

    @property
    def home(self) -> Path:
        """The folder of backups that every backup goes to unless told otherwise."""
        return self.installation.state / "backups"

    def kept_backups(self) -> Iterator[Path]:
        """Yield the folder of each backup that is within reach."""
        for folder in dict.fromkeys((self.home, *self.backups)):
            for manifest in sorted(folder.glob(f"*/{erasable.MANIFEST}")):
                yield manifest.parent


@dataclass
class HeldByService:
    """What a service has of a person. `names`: what the sealed fields say, by which unreadable bytes are searched."""

    service: str
    keys: int = 0
    facts: int = 0
    waiting: int = 0
    quarantined: int = 0
    raw: int = 0
    position: int = 0
    names: set[str] = field(default_factory=set)

    def counts(self) -> dict[str, object]:
        """Return what the fact says of it (contract F12)."""
        named = ("service", "keys", "facts", "waiting", "quarantined", "raw", "position")
        return {name: getattr(self, name) for name in named}


class Mentions:
    """Finds a person in bytes of any kind: by number, name or phone, in the encodings and spellings of programs."""

    def __init__(self, number: str) -> None:
        self._wanted = {_bare(number)}

    def add(self, names: set[str]) -> None:
        """Search for these, too."""
        self._wanted |= {bare for name in names if len(bare := _bare(name)) > 1}

    def __call__(self, raw: bytes) -> bool:
        """Return whether the person stands in the bytes."""
        return any(wanted in text for text in _readings(raw) for wanted in self._wanted)


def _readings(raw: bytes) -> Iterator[str]:
    for encoding in _ENCODINGS:
        for offset in range(2 if encoding.startswith("utf-16") else 1):
            text = raw[offset:].decode(encoding, errors="ignore")
            yield _bare(text)
            if "\\u" in text:
                yield _bare(_ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text))


def _bare(text: str) -> str:
    """Return a text without what may stand between letters and digits."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).upper())


def erase(act: Act, places: ErasureSites) -> Path:
    """Erase a person and return the certificate; raises LocalError, with nothing changed, where that may not be."""
    keys = set(act.credentials) - {""}
    if _bare(act.by) == _bare(act.second) or (any(act.credentials) and len(keys) < len(act.credentials)):
        raise LocalError(
            "须由另一人核准:姓名和密钥都不得相同,什么也没有删。",
            "Somebody else approves it, under another name and by another key; nothing was erased.",
        )
    with alone(places.home):
        return _erase(act, places)


def _erase(act: Act, places: ErasureSites) -> Path:
    home, installation = places.home, places.installation
    token = act.token(installation.city_key)
    mentions = Mentions(canonical_person(act.kind, act.number)[1])
    record = Record.unfinished(home, token)
    with step("查找", "Searching"):
        holdings = asyncio.run(_survey(places, token, mentions))
    if record is None and not any(held.keys or held.quarantined or held.raw for held in holdings.values()):
        raise LocalError(
            "各服务都没有此人的密钥,什么也没有删。", "No service has a key of this person; nothing was erased."
        )
    if record is None:
        record = Record(f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}", token)
        record.write(home)
    recorded = _record_facts(act, places, record, holdings)
    record = replace(record, approved=True)
    record.write(home)
    taken: dict[str, object] = {
        "services": {service: held.counts() for service, held in holdings.items()},
        "inboxes": _clear_inboxes(places, mentions),
        "backups": _clear_backups(places, token, mentions),
    }
    with step("销毁密钥", "Destroying the keys"):
        taken["databases"] = asyncio.run(_clear_databases(places, token, mentions))
    return _certify(places, record, recorded, taken)


async def _survey(places: ErasureSites, token: str, mentions: Mentions) -> dict[str, HeldByService]:
    """Look at everything and change nothing; names that turn up are searched for from then on."""
    holdings = {}
    for service in DOMAIN_SERVICES:
        connection = await asyncpg.connect(places.installation.owner_dsn(service))
        try:
            holdings[service] = await _of_service(connection, service, token, _seals(places.installation, service))
        finally:
            await connection.close()
        mentions.add(holdings[service].names)
    for service, held in holdings.items():
        connection = await asyncpg.connect(places.installation.owner_dsn(service))
        try:
            meant = await _unreadable(connection, _seals(places.installation, service), mentions)
        finally:
            await connection.close()
        held.quarantined = len(meant)
        held.raw, _ = await inboxes.holding(places.broker_of(service), service, mentions)
    return holdings


async def _of_service(connection: asyncpg.Connection, service: str, token: str, seals: list[Seal]) -> HeldByService:
    wrapped = await connection.fetchval(_SQL["key"], token)
    rows = await connection.fetch(_SQL["sealed"], token.encode())
    kinds = [row["kind"] for row in rows]
    position = await connection.fetchval(_SQL["position"])
    has_key = int(wrapped is not None)
    held = HeldByService(service, has_key, kinds.count("fact"), kinds.count("waiting"), position=position)
    for row in rows:
        for sealed in _sealed_in(orjson.loads(row["bytes"]), token) if wrapped is not None else ():
            for seal in seals:
                try:
                    fields = orjson.loads(seal.unseal(wrapped, token, sealed))
                except (InvalidTag, InvalidUnwrap):
                    continue
                held.names |= {fields[name] for name in ("name", "phone", "id_number") if fields.get(name)}
                break
    return held


def _sealed_in(document: object, token: str) -> Iterator[str]:
    """Yield what is sealed for a person anywhere in a fact or a waiting report."""
    if isinstance(document, dict):
        if document.get("token") == token and isinstance(document.get("sealed"), str):
            yield document["sealed"]
        for value in document.values():
            yield from _sealed_in(value, token)


def _seals(installation: Installation, service: str) -> list[Seal]:
    """Return what opens a service's own bytes, with every key of it that lies here: of now, and of kept backups."""
    keys = [installation.service_keys[service], installation.old_service_keys.get(service, "")]
    files = sorted((installation.state / "backup-keys").glob("*.json"))
    keys += [json.loads(file.read_text(encoding="utf-8"))["service_keys"].get(service, "") for file in files]
    return [Seal(bytes.fromhex(key)) for key in dict.fromkeys(keys) if key]


async def _unreadable(connection: asyncpg.Connection, seals: list[Seal], mentions: Mentions) -> list[int]:
    """Return the numbers of the quarantined messages that name the person, or that no key here opens."""
    last, meant = 0, []
    while rows := await connection.fetch(_SQL["quarantine"], last):
        meant += [row["number"] for row in rows if _is_meant(seals, mentions, row["sealed"], row["place"])]
        last = rows[-1]["number"]
    return meant


def _is_meant(seals: list[Seal], mentions: Mentions, sealed: bytes, place: str) -> bool:
    for seal in seals:
        try:
            return mentions(seal.unseal_unreadable(sealed, place))
        except InvalidTag:
            continue
    return True


def _record_facts(
    act: Act, places: ErasureSites, record: Record, holdings: Mapping[str, HeldByService]
) -> list[dict[str, object]]:
    """Report the request and its approval; return where they stand. Raises LocalError, having destroyed nothing."""
    whole = next(filter(is_whole, district_codes(places.installation.plans)))
    subject, at = f"erasure/{record.number}", format_instant(datetime.now(UTC))
    backups = len(list(places.kept_backups()))
    request = {"token": record.token, "by": act.by, "why": act.reason}
    approved = {"by": act.second, "unreadable": [held.counts() for held in holdings.values()], "backups": backups}
    recorded = []
    with step("记入计划日志", "Recording it in planning's log"):
        for name, data, key in zip(
            ("erasure-requested", "person-erased"), (request, approved), act.credentials, strict=True
        ):
            stands = asyncio.run(_recorded(places.installation.owner_dsn("planning"), subject, name))
            if stands is None:
                report = {
                    "specversion": "1.0", "id": f"{name}-{record.number}", "type": f"skillplan.planning.{name}.v1",
                    "source": f"/districts/{whole}/plan-office", "subject": subject, "district": whole, "time": at,
                    "data": data,
                }  # fmt: skip
                _tell(places, report, key, record)
                stands = asyncio.run(_recorded(places.installation.owner_dsn("planning"), subject, name))
            if stands is None:
                raise LocalError("planning 没有记下它,请再执行一次。", "Planning has not recorded it; run it again.")
            recorded.append(stands)
    return recorded


def _tell(places: ErasureSites, report: dict[str, object], key: str, record: Record) -> None:
    """Report to planning; what it refuses is as if never reported, unless it was broken off after that."""
    headers = {"content-type": "application/cloudevents+json"} | ({"authorization": f"Bearer {key}"} if key else {})
    answer = httpx.post(f"{places.planning}/v1/events", content=orjson.dumps(report), headers=headers, timeout=30)
    receipt = answer.json()
    if receipt.get("status") in _ACCEPTED:
        return
    record.remove(places.home)
    (reason, *_) = receipt.get("reasons") or [receipt]  # a problem says why itself
    raise LocalError(f"什么也没有删:{reason.get('zh')}", f"Nothing was erased: {reason.get('en')}")


async def _recorded(planning: str, subject: str, name: str) -> dict[str, object] | None:
    """Return position, digest, time and credential of a fact of an erasure, None without it."""
    connection = await asyncpg.connect(planning)
    try:
        rows = await connection.fetch("select position, bytes, sha256 from recorded_fact where stream = $1", subject)
    finally:
        await connection.close()
    for row in rows:
        fact = json.loads(row["bytes"])
        if fact["type"] == f"skillplan.planning.{name}.v1":
            statement = {"type": fact["type"], "position": row["position"], "sha256": row["sha256"].hex()}
            return statement | {
                "by": fact["data"]["by"],
                "reportedby": fact.get("reportedby"),
                "at": fact["recordedat"],
            }
    return None


def _clear_inboxes(places: ErasureSites, mentions: Mentions) -> dict[str, int]:
    """Delete raw reports up to the last one of the person, once they are decided and a backup has what was decided."""
    up_to: dict[str, inboxes.Offsets] = {}
    for service in DOMAIN_SERVICES:
        _, offsets = asyncio.run(inboxes.holding(places.broker_of(service), service, mentions))
        if offsets:
            up_to[service] = offsets
    if not up_to:
        return {}
    with step("等待其原始报告裁定", "Waiting until raw reports are decided"):
        for service, offsets in up_to.items():
            _await_decided(places.broker_of(service), service, offsets)
    backup.back_up(places.installation, None, None, _NEVER, places.broker_of)
    for service, offsets in up_to.items():
        asyncio.run(inboxes.delete(places.broker_of(service), offsets))
    return {place: offset for offsets in up_to.values() for place, offset in offsets.items()}


def _await_decided(broker: Broker, service: str, up_to: inboxes.Offsets) -> None:
    until = time.monotonic() + _DECIDED_SECONDS
    while True:
        reached = asyncio.run(inboxes.decided(broker, service))
        if all(reached.get(place, 0) >= offset for place, offset in up_to.items()):
            return
        if time.monotonic() > until:
            raise LocalError(
                f"{service} 还有此人的原始报告没有裁定;待其裁定后再执行一次,密钥尚未销毁。",
                f"Raw reports of this person are not decided by {service} yet; run it again then. The keys are there.",
            )
        time.sleep(1)


def _clear_backups(places: ErasureSites, token: str, mentions: Mentions) -> dict[str, object]:
    """Take the person out of every backup within reach; return what went of each, or that nothing can be."""
    cleared: dict[str, object] = {}
    for folder in places.kept_backups():
        manifest: erasable.Manifest = json.loads((folder / erasable.MANIFEST).read_text(encoding="utf-8"))
        removed = {"keys": 0, "quarantined": 0}
        for service in set(DOMAIN_SERVICES) & set(manifest["services"]):
            if "apart" not in manifest["services"][service]:
                cleared[folder.name] = "older"
                break
            is_meant = partial(_is_meant, _seals(places.installation, service), mentions)
            keys, unreadable = erasable.take_out(folder, manifest, service, token, is_meant)
            removed["keys"] += keys
            removed["quarantined"] += unreadable
        else:
            cleared[folder.name] = removed
    if older := [name for name, removed in cleared.items() if removed == "older"]:
        say(
            f"! 备份 {' '.join(older)} 是旧格式,密钥在转储之中,取不出来:请删去这些备份。恢复它们时不会带回此人的密钥。",
            "These backups are of the older form, with the keys inside the dump: remove them. A restore of one does not"
            " bring the keys back.",
        )
    return cleared


async def _clear_databases(places: ErasureSites, token: str, mentions: Mentions) -> dict[str, dict[str, int]]:
    """Destroy keys and unreadable bytes in every service's database and in those that a restore put aside."""
    installation, cleared = places.installation, {}
    superuser = await asyncpg.connect(installation.superuser)
    try:
        names = {
            name: service
            for service in DOMAIN_SERVICES
            for own in (installation.database(service),)
            for name in (*[row[0] for row in await superuser.fetch(_SQL["kept"], own)], own)
        }
        for name, service in names.items():
            address = urlsplit(installation.superuser)._replace(path=f"/{name}").geturl()
            cleared[name] = await _clear_database(address, _seals(installation, service), token, mentions)
        await superuser.execute("checkpoint")
    finally:
        await superuser.close()
    return cleared


async def _clear_database(dsn: str, seals: list[Seal], token: str, mentions: Mentions) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    try:
        meant = await _unreadable(connection, seals, mentions)
        async with connection.transaction():
            await connection.execute(_SQL["forget"], meant)
            gone = await connection.execute(_SQL["destroy"], token)
        # What a deleted row held goes from its page.
        await connection.execute("vacuum person_key, quarantine")
        return {"keys": int(gone.split()[-1]), "quarantined": len(meant)}
    finally:
        await connection.close()


def _certify(places: ErasureSites, record: Record, recorded: list[dict[str, object]], taken: dict[str, object]) -> Path:
    """Write the certificate, a note signed by planning's log key, and end the record. Neither names the person."""
    statement = {"erasure": record.number, "at": format_instant(datetime.now(UTC)), "recorded": recorded} | taken
    text = json.dumps(statement, ensure_ascii=False, indent=1)
    note = LogSigner("planning", bytes.fromhex(places.installation.log_keys["planning"])).note(f"{text}\n")
    file = record.certificate(places.home)
    file.write_text(note, encoding="utf-8")
    replace(record, ended_at=str(statement["at"])).write(places.home)
    return file
