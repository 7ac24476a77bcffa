"""Health of a process by part, shown by `/readyz`; a part that is well can be required to report again in time."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _State:
    problem: str | None
    at: float
    good_for: float | None


class ConfigurationError(Exception):
    """What an operator must put right before a process can work; one sentence in both languages."""


class Health:
    """The parts of a process and, for each that is not well, why. A part that never reported is not well yet.

    A part that reports with `good_for` must report again in time: a loop that died or hangs does not, and is unwell.
    """

    def __init__(self, *parts: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states = {part: _State("starting", clock(), None) for part in parts}
        self._warnings: dict[str, str] = {}

    def report(self, part: str, problem: str | None, good_for: float | None = None) -> None:
        """Set the state of a part: None when it is well (for so many seconds), else one short reason."""
        self._states[part] = _State(problem, self._clock(), good_for)

    def warn(self, part: str, text: str | None) -> None:
        """Set a warning about something that does not stop this process from working; None clears it."""
        if text is None:
            self._warnings.pop(part, None)
        else:
            self._warnings[part] = text

    @property
    def problems(self) -> dict[str, str]:
        """The parts that are not well, each with its reason."""
        now = self._clock()
        problems = {}
        for part, state in self._states.items():
            silent = now - state.at
            if state.problem is not None:
                problems[part] = state.problem
            elif state.good_for is not None and silent > state.good_for:
                problems[part] = f"no word for {silent:.0f} s"
        return problems

    @property
    def warnings(self) -> dict[str, str]:
        """The warnings in effect, by part."""
        return dict(self._warnings)
