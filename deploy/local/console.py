"""Shows what goes on while it takes long: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console

_console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_started = time.monotonic()
# In a log a line every so often shows that it is still going on; more would hide the rest.
_REMINDER = 5.0


def say(zh: str, en: str) -> None:
    """Print one line in both languages."""
    _console.print(f"{_elapsed()} {zh}  {en}", markup=False)


def refuse(zh: str, en: str) -> None:
    """Print why it does not go on, last and apart from all else."""
    sys.stdout.flush()
    sys.stderr.write(f"\n✗ {zh}\n  {en}\n")


@contextlib.contextmanager
def step(zh: str, en: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it runs and how long it took; the given function adds what it is at just now."""
    began = time.monotonic()
    if _console.is_terminal:
        with _console.status(f"{zh}  {en}") as status:
            yield lambda detail: status.update(f"{zh}  {en}  {detail}")
    else:
        shown = began

        def tell(detail: str) -> None:
            nonlocal shown
            if time.monotonic() - shown > _REMINDER:
                shown = time.monotonic()
                say(f"… {zh}", f"{en}  {detail}")

        say(f"… {zh}", en)
        yield tell
    say(f"✓ {zh}", f"{en}  ({time.monotonic() - began:.1f} s)")


def show(renderable: object) -> None:
    """Print a table or text of rich."""
    _console.print(renderable)


def _elapsed() -> str:
    return f"[{time.monotonic() - _started:5.1f} s]"
