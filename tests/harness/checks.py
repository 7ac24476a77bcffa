"""Checks over a table of types, run as one test a type: all that fail are reported together, each by its sentence."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

Row = tuple[str, tuple[Any, ...]]  # the type's name, and what a check is given


class TypeChecks:
    """A registry of checks; a module has one, and one test that runs it.

    A type's checks cost a test's overhead once: 3,000 parametrised cases took 75 s, of which their work was a third.
    """

    def __init__(self) -> None:
        self._checks: dict[str, list[tuple[str, Callable[[], None]]]] = {}

    def over(self, rows: Iterable[Row]) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Register a check of every row."""
        listed = tuple(rows)

        def register(check: Callable[..., None]) -> Callable[..., None]:
            for type_, arguments in listed:
                self._checks.setdefault(type_, []).append((check.__name__, partial(check, *arguments)))
            return check

        return register

    @property
    def types(self) -> list[str]:
        """The types that anything is checked of."""
        return list(self._checks)

    def run(self, type_: str) -> None:
        """Run every check of a type; raises all failures as one ExceptionGroup, each with the sentence it broke."""
        failures: list[Exception] = []
        for sentence, check in self._checks[type_]:
            try:
                check()
            except Exception as failure:  # noqa: BLE001 - the next check shall be run, too
                failure.add_note(f"{type_}: {sentence.replace('_', ' ')}")
                failures.append(failure)
        if failures:
            raise ExceptionGroup(f"{type_}: {len(failures)} checks failed", failures)
