"""Lets reports flow by HTTP and Kafka as districts send them: again and again until each has its answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.harness.reports import Report
from tests.harness.topics import structured

_BATCH = 10
_IN_FLIGHT = 200
_PAUSE = 0.1


class Flow:
    """What was sent so far, and whether there is more to come."""

    def __init__(
        self, by_http: Sequence[Report], by_kafka: Sequence[Report], seconds: float, unanswered: float
    ) -> None:
        self.by_http = by_http
        self.by_kafka = by_kafka
        self.answered = 0
        self.published = 0
        self.took = 0.0  # seconds, known when all is sent
        self._seconds = seconds
        self._unanswered = unanswered
        self._began = time.monotonic()

    @property
    def ended(self) -> bool:
        return self.answered == len(self.by_http) and self.published == len(self.by_kafka)

    async def send(self, address: str | Callable[[], str], kafka: str, key: str) -> None:
        """Send all of it by both doors, over HTTP with this key where there is one."""
        self._began = time.monotonic()
        await asyncio.gather(self._post(address, key), self._publish(kafka))
        self.took = time.monotonic() - self._began

    async def _due(self, sent: int, reports: Sequence[Report]) -> int:
        """Wait until the next report is due; return how many are. Who was held up catches up."""
        wait = self._began + self._seconds * sent / len(reports) - time.monotonic()
        await asyncio.sleep(max(0.001, wait))
        due = int((time.monotonic() - self._began) / self._seconds * len(reports)) + 1
        return min(max(due, sent + 1), len(reports))

    async def _post(self, address: str | Callable[[], str], key: str) -> None:
        """Send batch after batch; what got no answer is sent again, with the same ids."""
        batch = {"content-type": "application/cloudevents-batch+json"}
        batch |= {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(timeout=10, verify=False) as client:  # noqa: S501 - no TLS here
            while self.answered < len(self.by_http):
                await self._due(min(self.answered + _BATCH, len(self.by_http)) - 1, self.by_http)
                some = self.by_http[self.answered : self.answered + _BATCH]
                try:
                    door = address if isinstance(address, str) else address()
                    answer = await client.post(f"{door}/v1/events", json=some, headers=batch)
                except httpx.TransportError:
                    await asyncio.sleep(_PAUSE)
                    continue
                if answer.status_code == 200:
                    statuses = {receipt["status"] for receipt in answer.json()["results"]}
                    assert statuses <= {"accepted", "waiting", "duplicate"}, answer.text
                    self.answered += len(some)
                else:
                    assert answer.status_code == 503, answer.text
                    await asyncio.sleep(_PAUSE)

    async def _publish(self, kafka: str) -> None:
        """Send as many as are due, then wait for their acknowledgements; what got none is sent again."""
        while self.published < len(self.by_kafka):
            producer = AIOKafkaProducer(
                bootstrap_servers=kafka, acks="all", enable_idempotence=True,
                request_timeout_ms=int(self._unanswered * 1000),
            )  # fmt: skip
            try:
                await producer.start()
                while self.published < len(self.by_kafka):
                    due = min(await self._due(self.published, self.by_kafka), self.published + _IN_FLIGHT)
                    messages = map(structured, self.by_kafka[self.published : due])
                    sent = [await producer.send(m.topic, m.value, m.key, headers=list(m.headers)) for m in messages]
                    await asyncio.gather(*sent)
                    self.published = due
            except KafkaError:  # the client gives up after a while
                await asyncio.sleep(_PAUSE)
            finally:
                with contextlib.suppress(TimeoutError):  # it would wait for ever for a broker that is no more
                    await asyncio.wait_for(producer.stop(), 10)


@contextlib.contextmanager
def flowing(
    address: str | Callable[[], str],
    kafka: str,
    by_http: Sequence[Report],
    by_kafka: Sequence[Report],
    seconds: float,
    patience: float = 60.0,
    key: str = "",
    unanswered: float = 40.0,
) -> Iterator[Flow]:
    """Send all of it within about so many seconds while the block runs; at its end, wait until all is sent.

    `address`: of the door, or what says where it is now. `unanswered`: after how many seconds a broker that does not
    answer is given up.
    """
    flow = Flow(by_http, by_kafka, seconds, unanswered)

    async def send() -> None:
        sending = asyncio.create_task(flow.send(address, kafka, key))
        while not sending.done() and not given_up.is_set():
            await asyncio.wait([sending], timeout=0.2)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    given_up = threading.Event()
    with ThreadPoolExecutor(1) as apart:
        sending = apart.submit(asyncio.run, send())
        try:
            yield flow
            sending.result(timeout=patience)
        finally:
            given_up.set()


def moments(flow: Flow, count: int, seconds: float) -> Iterator[int]:
    """Yield `count` times while reports flow, at even steps of the time they take."""
    waiting = threading.Event()
    for moment in range(count):
        waiting.wait(seconds / (count + 1))
        if flow.ended:
            return
        yield moment
