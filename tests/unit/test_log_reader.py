"""Reading logs to their ends: not one step more than there are messages for; a step without any waits for some."""

from typing import Any, cast

from services.projection.counting.facts import LOGS
from services.projection.counting.log_reader import Counting, LogReader

MOST = 100


class Reader(LogReader):
    """Reads a log of numbers; `late`: how many come while the others are read."""

    def __init__(self, left: int, late: int) -> None:
        unused = cast("Any", None)
        super().__init__(unused, unused, unused, Counting(), LOGS)
        self.left, self.late, self.steps = left, late, 0

    async def ahead(self) -> dict[str, int]:
        return {LOGS[0]: self.left}

    async def step(self, must_be_current: bool) -> int:
        assert not must_be_current
        messages = min(MOST, self.left)
        self.left += self.late - messages
        self.late = 0
        self.steps += 1
        return messages


async def steps_to_the_end(left: int, late: int = 0) -> tuple[int, list[tuple[int, int]]]:
    reader, progress = Reader(left, late), list[tuple[int, int]]()
    await reader.read_all(lambda read, of: progress.append((read, of)))
    return reader.steps, progress


async def test_what_there_is_is_read_and_nothing_waited_for() -> None:
    assert await steps_to_the_end(0) == (0, [])
    assert await steps_to_the_end(3 * MOST) == (3, [(300, 300)])
    assert await steps_to_the_end(3 * MOST + 1) == (4, [(301, 301)])


async def test_what_comes_meanwhile_is_read_too() -> None:
    assert await steps_to_the_end(2 * MOST, late=50) == (3, [(200, 200), (250, 250)])
