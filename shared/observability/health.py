"""Says what is wrong with a process right now; `/readyz` shows it. A good word holds for a while only."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Word:
    problem: str | None
    at: float
    good_for: float | None


class ConfigurationError(Exception):
    """What an operator must put right before a process can work; one sentence in both languages."""


class Health:
    """The parts of a process and, for each that is not well, why. A part that never reported is not well yet.

    A part that says `good_for` has to say so again: a loop that died or hangs reports nothing, and that is what shows.
    """

    def __init__(self, *parts: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._words = {part: _Word("starting", clock(), None) for part in parts}
        self._warnings: dict[str, str] = {}

    def report(self, part: str, problem: str | None, good_for: float | None = None) -> None:
        """Note how a part is: None when it is well (for so many seconds), else one short reason."""
        self._words[part] = _Word(problem, self._clock(), good_for)

    def warn(self, part: str, text: str | None) -> None:
        """Note what is not as it should be although this process can do its work; None when it is again."""
        if text is None:
            self._warnings.pop(part, None)
        else:
            self._warnings[part] = text

    @property
    def problems(self) -> dict[str, str]:
        """The parts that are not well, each with its reason."""
        now = self._clock()
        found = {}
        for part, word in self._words.items():
            silent = now - word.at
            if word.problem is not None:
                found[part] = word.problem
            elif word.good_for is not None and silent > word.good_for:
                found[part] = f"no word for {silent:.0f} s"
        return found

    @property
    def warnings(self) -> dict[str, str]:
        """What whoever reads the answers should know."""
        return dict(self._warnings)
