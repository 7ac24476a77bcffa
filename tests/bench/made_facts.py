"""Sends made-up facts to a topic as a relay would, without a log: `python -m tests.bench.made_facts <JSON>`."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import sys
from typing import Any

import uvloop

from tests.bench import feed
from tests.bench.floors import producer
from tests.bench.meter import SELF, Meter, Section
from tests.harness.people import credit_code
from tests.harness.processes import DISTRICTS

_TOGETHER = 5_000
_BACK = 7  # how far behind its original a correction comes
_CODES = [credit_code(index) for index in range(500)]


def fact(position: int, corrected_every: int) -> bytes:
    """Return the fact at a position: a hire of a person of its own, or, every so often, a correction of one."""
    original = (
        position - _BACK if corrected_every and position > _BACK and position % corrected_every == 0 else position
    )
    token = hashlib.md5(b"%d" % original, usedforsecurity=False).hexdigest()
    own = hashlib.md5(b"fact%d" % position, usedforsecurity=False).hexdigest()
    own = f"{own[:8]}-{own[8:12]}-7{own[13:16]}-8{own[17:20]}-{own[20:]}"
    district, day = (
        DISTRICTS[original % len(DISTRICTS)],
        f"{2023 + original % 3}-{original % 12 + 1:02}-{position % 28 + 1:02}",
    )
    seconds, micros = divmod(position, 1_000_000)
    at = f"2026-01-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}Z"
    corrects = f'"corrects":"m-{original}",' if original != position else ""
    return (
        f'{{"specversion":"1.0","id":"{own}","source":"/services/{feed.SERVICE}",'
        f'"type":"skillplan.recruitment.person-hired.v1","subject":"hire/m-{original}",'
        f'"time":"{day}T09:30:00+08:00","district":"{district}","position":{position},"version":1,"recordedat":"{at}",'
        f'"reportsource":"/districts/{district}/hr","reportid":"m-{position}",{corrects}"correlationid":"{own}",'
        f'"causationid":"m-{position}","datacontenttype":"application/json",'
        f'"data":{{"person":{{"token":"{token}","sealed":"{token * 5}"}},'
        f'"enterprise":{{"credit_code":"{_CODES[original % 500]}","name":"样本机构 Sample"}},'
        f'"channel":"gold-blue-collar","occupation_code":"6-18-01-01","level":"3","hired_on":"{day}"}}}}'
    ).encode()


async def send(options: dict[str, Any]) -> Section:
    """Send the facts of a stretch of the log."""
    sender = producer(options["kafka"])
    await sender.start()
    meter = Meter({SELF: os.getpid()})
    first, count = options["first"], options["count"]
    topic = options.get("topic", f"{feed.SERVICE}.events")
    for at in range(first, first + count, _TOGETHER):
        acks = [
            await sender.send(topic, fact(position, options["corrected_every"]), partition=0)
            for position in range(at, min(at + _TOGETHER, first + count))
        ]
        await asyncio.gather(*acks)
    section = meter.section(count)
    await sender.stop()
    return section


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dataclasses.asdict(uvloop.run(send(json.loads(sys.argv[1]))))) + "\n")
