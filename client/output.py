"""Hides how the command line speaks: the reader's language, JSON lines for programs, progress, and exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

ALL_WELL: Final = 0
SOME_WRONG: Final = 1
USAGE: Final = 2
AWAY: Final = 3
UNANSWERED: Final = 4
STOPPED: Final = 130
_REMINDER: Final = 5.0  # in a log; more often would hide the rest


class CommandError(Exception):
    """Why a command cannot go on, in one sentence of both languages that quotes nothing personal."""

    def __init__(self, zh: str, en: str, code: str = "usage", exit_code: int = USAGE) -> None:
        super().__init__(f"{zh}  {en}")
        self.zh, self.en, self.code, self.exit_code = zh, en, code, exit_code


def language() -> str:
    """Return `zh` or `en` where the locale says one, else `both`."""
    told = next((os.environ[name] for name in ("SKILLPLAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
                 if os.environ.get(name)), "")  # fmt: skip
    return told[:2] if told[:2] in ("zh", "en") else "both"


def text(zh: str, en: str, between: str = "  ") -> str:
    """Return a text in the reader's language, in both where that is not known."""
    both = zh if zh == en else f"{zh}{between}{en}"  # some sentences hold both already
    return {"zh": zh, "en": en}.get(language(), both)


@dataclass(frozen=True, slots=True)
class Output:
    """What a command says: sentences and tables for people, or one JSON object a line for programs."""

    json: bool = False

    def say(self, zh: str, en: str) -> None:
        """Say a sentence, to people only."""
        if not self.json:
            sys.stdout.write(text(zh, en) + "\n")
            sys.stdout.flush()

    def tell(self, shown: Mapping[str, Any]) -> None:
        """Tell a program one object."""
        if self.json:
            sys.stdout.write(orjson.dumps(shown).decode() + "\n")
            sys.stdout.flush()

    def line(self, shown: str) -> None:
        """Print a line of facts to people."""
        if not self.json:
            sys.stdout.write(shown + "\n")
            sys.stdout.flush()

    def table(self, heads: list[tuple[str, str]], rows: list[list[str]]) -> None:
        """Show a table to people; columns after the first two are numbers."""
        if self.json:
            return
        shown = Table()
        for at, (zh, en) in enumerate(heads):
            shown.add_column(text(zh, en, "\n"), justify="left" if at < 2 else "right")  # noqa: PLR2004
        for row in rows:
            shown.add_row(*row)
        Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140).print(shown)

    def refuse(self, refusal: CommandError) -> None:
        """Say why it does not go on."""
        sys.stdout.flush()
        if self.json:
            shown = {"error": {"code": refusal.code, "zh": refusal.zh, "en": refusal.en}}
            sys.stderr.write(orjson.dumps(shown).decode() + "\n")
        else:
            sys.stderr.write("✗ " + text(refusal.zh, refusal.en, "\n  ") + "\n")

    @contextlib.contextmanager
    def progress(self, zh: str, en: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
        """Show how far it is, as (part of `total`, reports): a bar on a terminal, else a line every so often."""
        console = Console(stderr=True, highlight=False)
        if self.json:
            yield lambda _part, _reports: None
        elif console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[reports]}"),
                       TaskProgressColumn(), TimeRemainingColumn())  # fmt: skip
            with Progress(*columns, console=console) as bar:
                task = bar.add_task(text(zh, en), total=total, reports=0)
                yield lambda part, reports: bar.update(task, completed=part, reports=reports)
        else:
            shown = time.monotonic()

            def tell(_part: int, reports: int) -> None:
                nonlocal shown
                if time.monotonic() - shown > _REMINDER:
                    shown = time.monotonic()
                    sys.stderr.write(f"… {text(zh, en)} {reports}\n")

            yield tell
