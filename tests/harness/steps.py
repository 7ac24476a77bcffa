"""How long the steps of an event loop are, in processor time: what a busy machine does not change."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.process.memory import COLLECTED_AT


@contextmanager
def timed_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Yield the processor time of every step of the event loop meanwhile, in seconds."""
    steps, run = [0.0], asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        steps.append(time.thread_time() - began)

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.Handle, "_run", timed)
        yield steps


@contextmanager
def collected_as_in_services() -> Iterator[None]:
    """Let the collector go about as in a service, and leave alone what the tests before have left."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
