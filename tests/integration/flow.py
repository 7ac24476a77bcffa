"""Lets reports flow by HTTP and Kafka as districts send them: again and again until each has its answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from aiokafka import AIOKafkaProducer

from tests.integration.reports import Report
from tests.integration.road import structured


class Flow:
    """What was sent so far, and whether there is more to come."""

    def __init__(self, by_http: Sequence[Report], by_kafka: Sequence[Report]) -> None:
        self.by_http = by_http
        self.by_kafka = by_kafka
        self.answered = 0
        self.published = 0

    @property
    def ended(self) -> bool:
        return self.answered == len(self.by_http) and self.published == len(self.by_kafka)

    async def post(self, address: str, pause: float) -> None:
        """Send batch after batch; what got no answer is sent again, with the same ids."""
        batch = {"content-type": "application/cloudevents-batch+json"}
        async with httpx.AsyncClient(base_url=address, timeout=10, verify=False) as client:  # noqa: S501 - no TLS here
            while self.answered < len(self.by_http):
                some = self.by_http[self.answered : self.answered + 10]
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.post("/v1/events", json=some, headers=batch)
                    if answer.status_code == 200:
                        statuses = {receipt["status"] for receipt in answer.json()["results"]}
                        assert statuses <= {"accepted", "duplicate"}, answer.text
                        self.answered += len(some)
                    else:
                        assert answer.status_code == 503
                await asyncio.sleep(pause)

    async def publish(self, kafka: str, pause: float) -> None:
        """Send one report after another."""
        producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            for report in self.by_kafka:
                message = structured(report)
                await producer.send_and_wait(message.topic, message.value, message.key, headers=list(message.headers))
                self.published += 1
                await asyncio.sleep(pause)
        finally:
            await producer.stop()


@contextlib.contextmanager
def flowing(
    address: str,
    kafka: str,
    by_http: Sequence[Report],
    by_kafka: Sequence[Report],
    seconds: float,
    patience: float = 60.0,
) -> Iterator[Flow]:
    """Send all of it within about so many seconds while the block runs; at its end, wait until all is sent."""
    flow = Flow(by_http, by_kafka)

    async def send() -> None:
        await asyncio.gather(
            flow.post(address, seconds * 10 / max(1, len(by_http))),
            flow.publish(kafka, seconds / max(1, len(by_kafka))),
        )

    with ThreadPoolExecutor(1) as apart:
        sending = apart.submit(asyncio.run, send())
        yield flow
        sending.result(timeout=patience)


def moments(flow: Flow, count: int, seconds: float) -> Iterator[int]:
    """Yield `count` times while reports flow, at even steps of the time they take."""
    waiting = threading.Event()
    for moment in range(count):
        waiting.wait(seconds / (count + 1))
        if flow.ended:
            return
        yield moment
