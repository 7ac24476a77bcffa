"""Says what is wrong with a process right now; `/readyz` shows it."""


class Refused(Exception):
    """What an operator must put right before a process can work; one sentence in both languages."""


class Health:
    """The parts of a process and, for each that is not well, why. A part that never reported is not well yet."""

    def __init__(self, *parts: str) -> None:
        self._problems: dict[str, str | None] = dict.fromkeys(parts, "starting")

    def report(self, part: str, problem: str | None) -> None:
        """Note how a part is: None when it is well, else one short reason."""
        self._problems[part] = problem

    @property
    def problems(self) -> dict[str, str]:
        """The parts that are not well, each with its reason."""
        return {part: problem for part, problem in self._problems.items() if problem is not None}
