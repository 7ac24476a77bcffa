"""The workloads of event stores' benchmarks: many small streams, some longer than others, one, and mostly reads."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.bench.hops import CLIENTS, Sizes, compare_log, new_run
from tests.bench.hot_subject import matched, raised, send
from tests.bench.load import WARM_UP, post
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers, pid_of
from tests.harness.reports import DISTRICT

_SERVICE: Final = "recruitment"
_SHORT = 10  # facts a stream
_RAISED_AT_ONCE = 500
_READS: Final = 0.85
_NAMES: Final = {
    "small": "14 streams, many small ones",
    "zipf": "14 streams, lengths by Zipf",
    "hot": "14 streams, all on one",
    "reads": "14 streams, 85 % reads, small ones",
}


def measure_streams(servers: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Append facts to streams of each shape, one a request, and read what a report has said between appends."""
    rows = []
    with servers.system() as system:
        compare_log(system)
        (api,) = system.start(_SERVICE, "api")
        count = sizes.appends
        streams = (count + CLIENTS * WARM_UP) // _SHORT + 1
        read = ""
        for shape, name in _NAMES.items():
            run = new_run()
            for first in range(0, streams, _RAISED_AT_ONCE):
                numbers = range(first, min(first + _RAISED_AT_ONCE, streams))
                send(api, [raised(f"{run}-{number}", streams * _SHORT) for number in numbers])
            options = {"shape": shape, "run": run, "count": count, "streams": streams, "read": read or run}
            pids = {"api": pid_of(api), **servers.parts}
            section = servers.run("load", {**options, "clients": CLIENTS, "port": api.port, "pids": pids})
            note = ", ".join(f"{name.removesuffix('_ms')} {value:.1f}" for name, value in section.extra.items())
            rows.append(BenchRow(name, "requests", [section], note=f"{CLIENTS} HTTP clients; ms: {note}", aim=None))
            read = read or run
    return rows


def requests_of(options: Mapping[str, Any], count: int) -> list[bytes]:
    """Return requests of a shape; what is read is of the run `read`, which has been answered."""
    shape, run, drawn = options["shape"], options["run"], random.Random(7)  # noqa: S311 - the same each time
    streams = _streams_of(shape, options["streams"], drawn)
    return [
        _read(f"{options['read']}-{drawn.randrange(options['count'])}")
        if shape == "reads" and drawn.random() < _READS
        else post(json.dumps(matched(f"{run}-{stream}", f"{run}-{number}")).encode(), b"cloudevents+json")
        for number, stream in zip(range(count), streams, strict=False)
    ]


def _streams_of(shape: str, streams: int, drawn: random.Random) -> Iterator[int]:
    match shape:
        case "hot":
            return itertools.repeat(0)
        case "zipf":
            weights = list(itertools.accumulate(1 / rank for rank in range(1, streams + 1)))
            return (drawn.choices(range(streams), cum_weights=weights)[0] for _ in itertools.count())
        case _:
            return (number // _SHORT for number in itertools.count())


def _read(id_: str) -> bytes:
    path = f"/v1/receipts/report?source=/districts/{DISTRICT}/tests&id={id_}"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
