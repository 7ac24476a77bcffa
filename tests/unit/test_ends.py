"""What nobody cancelled and is cancelled has failed: a client of Kafka does so when its connections were reset."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from services.projection.counting.log_reader import retry_forever
from tests.conftest import ROOT

_ENDS = """
import asyncio
from shared.process.process import end_process_if_failed

async def cancelled_within():
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    await waited

async def main():
    task = asyncio.create_task({work})
    task.add_done_callback(end_process_if_failed)
    await asyncio.sleep(0)
    {cancellation}
    await asyncio.sleep(0.2)

asyncio.run(main())
"""


async def cancelled_within() -> None:
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    await waited


async def test_an_attempt_that_is_cancelled_from_within_is_made_again_until_we_cancel() -> None:
    attempts, second = [0], asyncio.Event()

    async def attempt() -> None:
        attempts[0] += 1
        if attempts[0] == 1:
            await cancelled_within()
        second.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(retry_forever(attempt))
    await asyncio.wait_for(second.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attempts == [2]


@pytest.mark.parametrize(
    ("work", "cancellation", "code"),
    [("cancelled_within()", "pass", 70), ("asyncio.sleep(60)", "task.cancel()", 0), ("asyncio.sleep(0)", "pass", 0)],
)
def test_a_process_ends_when_a_part_of_it_was_cancelled_by_nobody(work: str, cancellation: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDS.format(work=work, cancellation=cancellation)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
