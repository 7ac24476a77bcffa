"""The Merkle tree of a log in its database: grown beside the relay, read for checkpoints, tiles and proofs."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import asyncpg
import structlog

from shared.log import tree
from shared.log.event_store import Statement, read_queries
from shared.log.tree import HEIGHT, SIZE, WIDTH, Edge, Ranges, TileAt
from shared.observability.health import Health

_SQL: Final = read_queries("shared.log", "tree.sql")
_GROW: Final = Statement(_SQL["grow"])
_PAGE: Final = 2048
_SECONDS: Final = 0.5  # between two times that a tree grows by less than a page
_PAUSE: Final = 5.0
_PART: Final = "tree"
_log = structlog.get_logger()


class TreeBuilder:
    """Grows the tree by what was sent, on the relay's connection, whose lock makes it the only one.

    Only what the broker has acknowledged is in a checkpoint: a database restored from a backup gets it back from the
    topic (decision 0020), so that no checkpoint names a fact that is gone.
    """

    def __init__(self, connection: asyncpg.Connection, health: Health) -> None:
        self._connection = connection
        self._health = health
        self._edge: Edge | None = None
        self._due_at = 0.0
        self._first, self._digests = 1, list[bytes]()  # what was sent last, from a position on

    def remember(self, page: Sequence[asyncpg.Record]) -> None:
        """Keep the digests of facts that were sent, so that they need not be read again; what is kept is bounded."""
        first, last = page[0]["number"], page[-1]["number"]
        if first != self._first + len(self._digests) or len(self._digests) > _PAGE:
            self._first, self._digests = first, []
        if last - first + 1 == len(page):
            self._digests += [row["digest"] for row in page]

    async def _digests_of(self, before: int, end: int) -> list[bytes]:
        at = before + 1 - self._first
        digests = self._digests[at : at + end - before] if at >= 0 else []
        if len(digests) == end - before:
            del self._digests[: at + len(digests)]
            self._first = end + 1
            return digests
        return _apart(await self._connection.fetchval(_SQL["digests"], before, end))

    async def grow(self, sent: int) -> float | None:
        """Add a page of what was sent; return in how many seconds there is more to add, None where nothing is left.

        Where the database was tampered with the tree stays as it is, and `/readyz` warns; deciding and sending go on.
        """
        now = asyncio.get_running_loop().time()
        if now < self._due_at and (self._edge is None or sent - self._edge.size < _PAGE):
            return None if self._edge is not None and self._edge.size >= sent else self._due_at - now
        edge, self._edge = self._edge or await self._begin(), None  # what is not written is read again
        try:
            if edge.size < sent:
                await self._add(edge, sent)
        except (LookupError, asyncpg.IntegrityConstraintViolationError) as error:
            if _PART not in self._health.warnings:
                _log.exception("tree.stands-still", size=edge.size)
            self._health.warn(_PART, f"the tree of the log stands still: {error}")
            self._due_at = now + _PAUSE
            return _PAUSE
        self._health.warn(_PART, None)
        self._edge, self._due_at = edge, now + _SECONDS
        left = sent - edge.size
        return None if left <= 0 else 0.0 if left >= _PAGE else _SECONDS

    async def _add(self, edge: Edge, sent: int) -> None:
        before, end = edge.size, min(sent, edge.size + _PAGE)
        digests = await self._digests_of(before, end)
        if len(digests) != end - before:
            raise LookupError(f"of the facts from {before + 1} to {end} {len(digests)} are there")
        grown = edge.add(digests)
        arguments = _GROW.arguments(tiles=grown.tiles, nodes=grown.nodes, size=grown.size, edge=grown.edge)
        await self._connection.execute(_GROW.sql, *arguments)

    async def _begin(self) -> Edge:
        row = await self._connection.fetchrow(_SQL["tree"])
        if row is None:
            raise LookupError("tree is empty")
        size, levels, level = row["size"], [row["edge"]], 1
        while size >> HEIGHT * level:
            first = (size >> HEIGHT * (level + 1)) << HEIGHT
            nodes = await self._connection.fetch(_SQL["nodes"], level, first)
            levels.append(b"".join(node["hash"] for node in nodes))
            level += 1
        return Edge(size, levels)


class NotInTree(LookupError):
    """The tree does not reach so far."""


class TreeReader:
    """Reads the tree; raises NotInTree for what it does not have yet."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def root(self) -> tuple[int, bytes]:
        """Return the size of the tree and its hash."""
        size, edge = await self._size()
        (root,) = await self._hashes([(0, size)], size, edge)
        return size, root

    async def cosigned(self) -> str | None:
        """Return the latest checkpoint that witnesses have cosigned, None where there is none."""
        note: str | None = await self._pool.fetchval(_SQL["cosigned"])
        return note

    async def keep_cosigned(self, note: str | None) -> None:
        """Keep a cosigned checkpoint in place of the one before it."""
        await self._pool.execute(_SQL["keep_cosigned"], note)

    async def inclusion(self, leaf: int, size: int | None) -> tuple[int, bytes, list[bytes]]:
        """Return the size of the tree, the hash of a leaf, and the proof that it is in it; no `size`: the whole one."""
        whole, edge = await self._size()
        size = whole if size is None else size
        if not 0 <= leaf < size <= whole:
            raise NotInTree
        own, *proof = await self._hashes([(leaf, leaf + 1), *tree.inclusion(leaf, size)], whole, edge)
        return size, own, proof

    async def consistency(self, old: int, size: int | None) -> tuple[int, list[bytes]]:
        """Return the size of the tree, and the proof that it begins with that of `old`; no `size`: the whole one."""
        whole, edge = await self._size()
        size = whole if size is None else size
        if not 0 <= old <= size <= whole:
            raise NotInTree
        return size, await self._hashes(tree.consistency(old, size), whole, edge)

    async def tile(self, at: TileAt, width: int) -> bytes:
        """Return the first hashes of a tile."""
        size, edge = await self._size()
        if at.number * WIDTH + width > size >> HEIGHT * at.level:
            raise NotInTree
        return (await self._tiles({at}, size, edge))[at][: width * SIZE]

    async def entries(self, number: int, width: int) -> bytes:
        """Return the data of the first leaves of a tile of level 0, as an entry bundle."""
        size, _ = await self._size()
        first = number * WIDTH
        if first + width > size:
            raise NotInTree
        return tree.entries(_apart(await self._pool.fetchval(_SQL["digests"], first, first + width)))

    async def _size(self) -> tuple[int, bytes]:
        row = await self._pool.fetchrow(_SQL["tree"])
        if row is None:
            raise LookupError("tree is empty")
        return row["size"], row["edge"]

    async def _hashes(self, ranges: Ranges, size: int, edge: bytes) -> list[bytes]:
        tiles = await self._tiles(tree.tiles_of(ranges), size, edge)
        return tree.hashes_of(ranges, tiles.__getitem__)

    async def _tiles(self, wanted: Collection[TileAt], size: int, edge: bytes) -> dict[TileAt, bytes]:
        """Return tiles, as much of each as there is: what was read as the edge may be a full tile by now."""
        last = TileAt(0, size >> HEIGHT)
        leaves = [at.number for at in wanted if at.level == 0 and at != last]
        higher = [at for at in wanted if at.level]
        tiles = {last: edge}
        if leaves:
            rows = await self._pool.fetch(_SQL["leaves"], leaves)
            tiles |= {TileAt(0, row["number"]): row["hashes"] for row in rows}
        if higher:
            levels, numbers = [at.level for at in higher], [at.number for at in higher]
            rows = await self._pool.fetch(_SQL["tiles"], levels, numbers)
            tiles |= {TileAt(row["level"], row["number"]): row["hashes"] for row in rows}
        return tiles


def _apart(hashes: bytes | None) -> list[bytes]:
    return [] if hashes is None else [hashes[at : at + SIZE] for at in range(0, len(hashes), SIZE)]
