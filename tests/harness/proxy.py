"""A bad network between a service and what it needs: late, cut, or half-open, by a small TCP proxy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass
class Network:
    """How the network is right now; change it while connections stand."""

    latency: float = 0.0  # seconds, each way
    silent: bool = False  # half-open: connections stand, and nothing gets through
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop | None = None

    def reset(self) -> int:
        """Cut every connection with a reset; return how many there were."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(self._reset(), self.loop).result(10)

    async def _reset(self) -> int:
        cut = list(self.connections)
        for writer in cut:
            writer.transport.abort()
        return len(cut)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until either side ends."""
        self.connections.add(writer)
        try:
            while data := await reader.read(_CHUNK):
                await asyncio.sleep(self.latency)
                while self.silent:  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


@contextlib.contextmanager
def between(host: str, port: int, listen: int) -> Iterator[Network]:
    """Listen on a port and carry what comes to another place, through a network that the block may spoil.

    While nobody listens there, nobody listens here: who asks is refused as he would be there.
    """
    network, started, stop = Network(), threading.Event(), asyncio.Event()
    gone = asyncio.Event()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            gone.set()
            return
        await asyncio.gather(network.carry(reader, there[1]), network.carry(there[0], writer))

    async def is_there() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    async def serve() -> None:
        network.loop = asyncio.get_running_loop()
        started.set()
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            if not await is_there():
                await asyncio.wait([stopping], timeout=0.1)
                continue
            gone.clear()
            server = await asyncio.start_server(meet, host, listen)
            leaving = asyncio.create_task(gone.wait())
            await asyncio.wait([stopping, leaving], return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            for door in server.sockets:
                network.loop.remove_reader(door)
            await asyncio.sleep(0.05)  # asyncio fails on what it has half accepted when it closes
            server.close()
        await network._reset()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield network
    finally:
        assert network.loop is not None
        network.loop.call_soon_threadsafe(stop.set)
        thread.join(10)
