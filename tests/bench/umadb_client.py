"""Appends events to UmaDB from threads, and prints seconds and processor time; run where `umadb` is installed.

Arguments: address, threads, events an append, how many in all.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

_BYTES = b"x" * 468  # as a report is


def main() -> None:
    """Append, each event with a tag of its own, and on the condition that none has it."""
    umadb = import_module("umadb")
    threads, each, count = map(int, sys.argv[2:5])

    def append(thread: int) -> None:
        client = umadb.Client(f"http://{sys.argv[1]}")
        for at in range(thread, count // each, threads):
            tags = [f"{time.time_ns()}-{thread}-{at}-{index}" for index in range(each)]
            events = [umadb.Event("person-hired", _BYTES, [tag]) for tag in tags]
            none = umadb.AppendCondition(umadb.Query([umadb.QueryItem(tags=[tag]) for tag in tags]))
            client.append(events, condition=none)

    with ThreadPoolExecutor(threads) as pool:
        since, spent = time.perf_counter(), time.process_time()
        list(pool.map(append, range(threads)))
        sys.stdout.write(f"{time.perf_counter() - since} {time.process_time() - spent}\n")


if __name__ == "__main__":
    main()
