"""Stores the bytes of the facts of a year that is over apart, on a cheaper disk, and brings them back (decision 0033).

Portion by portion, beside live work, each in a transaction of its own: whenever it is killed, a fact's bytes are in one
place and not in two. Run again it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import stamina

from shared.contract.events import LOCAL_TIME
from shared.log.database import MIGRATIONS
from shared.log.event_store import read_queries
from shared.log.migrate import check, connect, unreachable
from shared.observability.health import ConfigurationError
from shared.observability.unavailable import UNAVAILABLE

_SQL: Final = read_queries("shared.log", "store_away.sql")
_PORTION: Final = 500
_VACUUM_EVERY: Final = 100_000  # facts: the room that they left is used by those that are moved next
_SETTING: Final = "SKILLPLAN_PG_OWNER_DSN"


@dataclass(frozen=True)
class Year:
    """The facts that a log recorded in a year, Beijing time, by their positions; none where `last` < `first`."""

    number: int
    first: int
    last: int

    @property
    def part(self) -> str:
        """The table of their bytes."""
        return f"stored_away_{self.number}"


async def store_away(
    service: str, owner_dsn: str, year: int, tablespace: str, progress: Callable[[int], None] = lambda moved: None
) -> int:
    """Store the bytes of a year's facts away; return how many were moved now, 0 where all were away already.

    `tablespace`: where, one that there is; as the database where it is empty. `progress` gets how many are moved by
    now, after each portion. Raises ConfigurationError in one sentence for what stands against it.
    """
    connection = await _begin(service, owner_dsn)
    try:
        log = (await connection.fetch(_SQL["log"]))[0]
        ends = datetime(year + 1, 1, 1, tzinfo=LOCAL_TIME)
        if log["now"] < ends:
            raise ConfigurationError(
                f"{year} 年还没有结束,什么也没有动。 The year {year} is not over; nothing was moved."
            )
        if not log["compared"]:
            raise ConfigurationError(
                f"{service} 的日志还没有与其主题比对过;请先启动该服务。"
                f" The log of {service} was not compared with its topic yet: start the service first."
            )
        wanted = await _positions(connection, year, log["position"])
        if wanted.last > log["sent"]:
            raise ConfigurationError(
                f"{service} 第 {log['sent']} 位之后的事实还没有发到主题;请等其发出。"
                f" Facts after position {log['sent']} are not on the topic yet; wait until they are."
            )
        if wanted.last < wanted.first:
            return 0
        await _make_part(connection, wanted, tablespace)
        return await _move(connection, wanted, progress, away=True)
    finally:
        await connection.close()


async def bring_back(
    service: str, owner_dsn: str, year: int, progress: Callable[[int], None] = lambda moved: None
) -> int:
    """Bring the bytes of a year back into the log's own table; return how many; arguments and errors as above."""
    connection = await _begin(service, owner_dsn)
    try:
        head = (await connection.fetch(_SQL["log"]))[0]["position"]
        wanted = await _positions(connection, year, head)
        if not await connection.fetch(_SQL["part"], wanted.part):
            return 0
        moved = await _move(connection, wanted, progress, away=False)
        if await connection.fetchval(_SQL["left_away"], wanted.part):
            raise _harmed(wanted.first)
        await _at_once(connection, f"drop table {wanted.part}")
        return moved
    finally:
        await connection.close()


async def _begin(service: str, owner_dsn: str) -> asyncpg.Connection:
    try:
        connection = await connect(owner_dsn, _SETTING)
    except (*UNAVAILABLE, TimeoutError) as error:
        raise unreachable(_SETTING, error) from None
    try:
        await check(connection, MIGRATIONS, service)
        free = await connection.fetchval(_SQL["lock"])
    except BaseException:
        await connection.close()
        raise
    if free:
        return connection
    await connection.close()
    raise ConfigurationError(
        f"{service} 的日志正在移动中;请等其结束。 Facts of {service} are being moved already; wait for that."
    )


async def _positions(connection: asyncpg.Connection, year: int, head: int) -> Year:
    """Find a year's facts: the later the position, the later it was recorded."""

    async def first_since(instant: datetime) -> int:
        low, high = 1, head + 1
        while low < high:
            middle = (low + high) // 2
            recorded_at = await connection.fetchval(_SQL["recorded_at"], middle)
            if recorded_at is None:
                raise _harmed(middle)
            low, high = (middle + 1, high) if recorded_at < instant else (low, middle)
        return low

    begins, ends = (datetime(number, 1, 1, tzinfo=LOCAL_TIME) for number in (year, year + 1))
    return Year(year, await first_since(begins), await first_since(ends) - 1)


async def _make_part(connection: asyncpg.Connection, year: Year, tablespace: str) -> None:
    """Make the table of a year's bytes, its index with it, unless it is there."""
    if there := await connection.fetch(_SQL["part"], year.part):
        if tablespace not in ("", there[0]["tablespace"]):
            raise ConfigurationError(
                f"{year.number} 年已在另一处({there[0]['tablespace'] or '库的默认表空间'}),什么也没有动。"
                f" That year is in another place already: alter table {year.part} set tablespace moves it."
            )
        return
    if tablespace:
        allowed = await connection.fetchval(_SQL["tablespace"], tablespace)
        if allowed is None:
            raise ConfigurationError(
                f"没有表空间 {tablespace}:请先 create tablespace。 There is no such tablespace: create it first."
            )
        if not allowed:
            owner = await connection.fetchval("select current_user")
            raise ConfigurationError(
                f"{owner} 不得在表空间 {tablespace} 中建表:请先执行下句。 It may not use that tablespace; let it first:"
                f' grant create on tablespace "{tablespace}" to "{owner}"'
            )
    await _at_once(
        connection,
        f"create table {year.part} partition of stored_away for values from ({year.first}) to ({year.last + 1})",
        tablespace,
    )


async def _at_once(connection: asyncpg.Connection, statement: str, tablespace: str = "") -> None:
    """Run what locks the table of all parts: who waits for it keeps all readers waiting, so it is asked for again."""
    async for attempt in stamina.retry_context(
        on=asyncpg.LockNotAvailableError, attempts=60, timeout=None, wait_initial=0.5, wait_max=1.0
    ):
        with attempt:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '1s'")
                if tablespace:
                    await connection.execute("select set_config('default_tablespace', $1, true)", tablespace)
                await connection.execute(statement)


async def _move(connection: asyncpg.Connection, year: Year, progress: Callable[[int], None], *, away: bool) -> int:
    """Move bytes, portion by portion; what is not whole afterwards is as if it had not been tried."""
    moved, vacuumed, last = 0, 0, year.first - 1
    left, move = (_SQL["next_here"], _SQL["store"]) if away else (_SQL["next_away"], _SQL["bring_back"])
    while (first := await connection.fetchval(left, last, year.last)) is not None:
        last = min(first + _PORTION - 1, year.last)
        async with connection.transaction():
            done = await connection.execute(move, first, last)
            if await connection.fetchval(_SQL["whole"], first, last, away) != last - first + 1:
                raise _harmed(first)
        moved += int(done.rpartition(" ")[2])
        progress(moved)
        if moved - vacuumed >= _VACUUM_EVERY:
            await connection.execute("vacuum (truncate false) fact")
            vacuumed = moved
    if moved > vacuumed:
        await connection.execute("vacuum (truncate false, analyze) fact")
    return moved


def _harmed(position: int) -> ConfigurationError:
    return ConfigurationError(
        f"日志自第 {position} 位起有缺口或被改动,没有再动;请运行 make reconcile。"
        f" From position {position} on the log has a hole or was changed; no more was moved: run make reconcile."
    )
