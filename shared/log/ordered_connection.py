"""A connection to the database whose statements follow one another, also where the one before was not waited for."""

import asyncio

import asyncpg


class OrderedConnection:
    """A connection one of whose statements may be under way while its transaction goes on; the next waits for it."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        self._connection = connection
        self._begun: asyncio.Task[str] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a statement is under way."""
        return self._begun is not None and not self._begun.done()

    async def begin(self, sql: str, *arguments: object) -> None:
        """Send a statement; what goes wrong with it is raised by the next one."""
        await self.settle()
        self._begun = asyncio.create_task(self._connection.execute(sql, *arguments))
        await asyncio.sleep(0)

    async def settle(self) -> None:
        """Wait for what is under way."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            await begun

    async def give_up(self) -> None:
        """Let the database give up what is under way."""
        if self._begun is not None:
            self._begun.cancel()
            await asyncio.gather(self._begun, return_exceptions=True)

    async def execute(self, sql: str, *arguments: object) -> None:
        """Run a statement after what is under way."""
        await self.settle()
        await self._connection.execute(sql, *arguments)

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a query after what is under way; return its rows."""
        await self.settle()
        rows: list[asyncpg.Record] = await self._connection.fetch(sql, *arguments)
        return rows
