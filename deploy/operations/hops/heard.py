"""Evidence that services store of each other's facts, compared with the topic by digest."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from deploy.operations.hops.comparison import Compared
from services.projection.counting.facts import LogFact
from shared.log.event_store import read_queries

_SQL: Final = read_queries("deploy.operations", "reconcile.sql")


@dataclass
class Listener:
    """A service that stores facts of others as evidence: their types, and the position reached in each log."""

    connection: asyncpg.Connection
    compared: Compared
    types: Mapping[str, frozenset[str]]
    reached: Mapping[str, int]


async def listener_of(service: str, connection: asyncpg.Connection, compared: Compared) -> Listener:
    """Return what a service hears of others, by its `policies.HEARS`."""
    types: dict[str, frozenset[str]] = {}
    if importlib.util.find_spec(f"services.{service}.policies") is not None:
        policies = importlib.import_module(f"services.{service}.policies")
        for language in getattr(policies, "HEARS", ()):
            types[language.service] = frozenset(map(language.type_of, language.versions))
    reached = {row["service"]: row["position"] for row in await connection.fetch(_SQL["subscriptions"])}
    return Listener(connection, compared, types, reached)


async def compare_heard(listener: Listener, service: str, facts: Sequence[tuple[LogFact, bytes, bytes]]) -> None:
    """Compare facts of a service with those that the listener has stored of it."""
    types, reached = listener.types.get(service), listener.reached.get(service, 0)
    if types is None:
        return
    wanted = {
        fact.position: hashlib.sha256(value).digest()
        for fact, _, value in facts
        if fact.position <= reached and fact.type in types
    }
    rows = await listener.connection.fetch(_SQL["heard"], service, list(wanted))
    stored = {row["position"]: row["sha256"] for row in rows}
    for position, digest in wanted.items():
        if stored.get(position) != digest:
            listener.compared.differs(
                f"{service}.log → heard", position,
                "没有听到该事实" if position not in stored else "听到的字节不同",
                "this fact was not heard" if position not in stored else "it was heard with other bytes",
            )  # fmt: skip
    listener.compared.counts["heard"] += len(wanted)
