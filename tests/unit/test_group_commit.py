"""Concurrent requests share transactions, one after another; each seals its persons."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import orjson
import pytest

from services.catalogue import DOMAIN_SERVICES
from shared.contract.cloudevents import parse_array
from shared.contract.decoder import Channel
from shared.contract.events import NotUnderstood, Report
from shared.deciding.unit_of_work import Answer
from shared.log.event_store import Transaction
from shared.log.sealing import Seal
from shared.observability.unavailable import DatabaseNotReady
from shared.plan.loading import load_plans
from shared.service.command_handler import CommandHandler
from shared.service.http_reports import GroupCommit
from tests.bench import feed
from tests.conftest import ROOT
from tests.harness.in_memory_log import InMemoryLog
from tests.harness.languages import decoder

_SEAL: Final = Seal(b"s" * 32)
_MANY: Final = 120
_PATIENCE: Final = 30


class _HeldLog(InMemoryLog):
    """A log whose first transaction waits to go on, and ends with a crash of the database where it `fails`."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self._fails = fails
        self.transactions = 0
        self.held, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.transactions += 1
        async with super().transaction() as transaction:
            if not self.held.is_set():
                self.held.set()
                await self.go_on.wait()
                if self._fails:
                    self._person_keys.clear()  # the disk has them with the next commit
                    raise DatabaseNotReady
            yield transaction

    @property
    def keys(self) -> Mapping[str, bytes]:
        """The wrapped keys of persons by their tokens."""
        return self._person_keys


def _sent(first: int, count: int) -> list[Report | NotUnderstood]:
    batch = parse_array(feed.batch(first, count, "r"))
    return [decoder(feed.SERVICE).decode(report, Channel(), datetime.now(UTC)) for report in batch]


async def _submit(log: _HeldLog, sizes: list[int], until: int | None = None) -> list[list[Answer] | BaseException]:
    """Submit batches, all but the first while that is held in its transaction, which goes on once so many persons have
    keys (by default its own); return what each got."""
    domain = DOMAIN_SERVICES[feed.SERVICE].domain(load_plans(ROOT / "plans"))
    group = GroupCommit(CommandHandler(decoder(feed.SERVICE), domain, log, _SEAL))
    running = asyncio.create_task(group.run())
    requests = [asyncio.create_task(group.submit(_sent(0, sizes[0])))]
    await log.held.wait()
    for number, size in enumerate(sizes[1:], 1):
        requests.append(asyncio.create_task(group.submit(_sent(1_000 * number, size))))
    while len(log.keys) < (until or sizes[0]):  # noqa: ASYNC110 - of a log in memory nobody waits for long
        await asyncio.sleep(0)
    log.go_on.set()
    results = await asyncio.gather(*requests, return_exceptions=True)
    running.cancel()
    return results


async def _openable(log: InMemoryLog, keys: Mapping[str, bytes]) -> int:
    """Open what is sealed in every fact with the keys that are stored; return how many there are."""
    persons = [orjson.loads(raw)["data"]["person"] for raw in await log.log(0, 10_000)]
    for person in persons:
        _SEAL.unseal(keys[person["token"]], person["token"], person["sealed"])
    return len(persons)


@pytest.mark.parametrize("fails", [False, True])
def test_a_group_is_sealed_by_itself_whether_the_one_before_was_committed_or_failed(fails: bool) -> None:
    async def run() -> None:
        log = _HeldLog(fails=fails)
        first, *others = await asyncio.wait_for(_submit(log, [3, _MANY]), _PATIENCE)
        assert isinstance(first, DatabaseNotReady) if fails else _all_accepted(first)
        assert all(map(_all_accepted, others))
        assert await _openable(log, log.keys) == _MANY + 3 * (not fails)

    asyncio.run(run())


def test_requests_are_gathered_until_the_transaction_before_has_ended() -> None:
    async def run() -> None:
        log = _HeldLog(fails=False)
        assert all(map(_all_accepted, await asyncio.wait_for(_submit(log, [3, 1, 1, 1]), _PATIENCE)))
        assert log.transactions == 2

    asyncio.run(run())


def test_the_next_group_begins_before_the_one_before_has_ended_where_there_is_enough_for_it() -> None:
    async def run() -> None:
        log = _HeldLog(fails=False)
        results = await asyncio.wait_for(_submit(log, [3, 100, 100, 1], until=203), _PATIENCE)
        assert all(map(_all_accepted, results))
        assert log.transactions == 3
        assert await _openable(log, log.keys) == 204

    asyncio.run(run())


def _all_accepted(result: list[Answer] | BaseException) -> bool:
    return isinstance(result, list) and all(answer.status == "accepted" for answer in result)
