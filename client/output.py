"""Output of every command: sentences in the reader's language, JSON for programs, tables, progress, exit codes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

ALL_WELL: Final = 0
SOME_WRONG: Final = 1
USAGE: Final = 2
AWAY: Final = 3
UNANSWERED: Final = 4
CRASHED: Final = 70  # EX_SOFTWARE of sysexits.h
STOPPED: Final = 130
READER_GONE: Final = 141  # as a shell has it of SIGPIPE
_PROGRESS_SECONDS: Final = 5.0  # between lines in a log; more of them would hide the rest
_NEXT_LINE: Final = "\n  "
_WIDTH: Final = 140  # of a table in a file or a pipe


class CommandError(Exception):
    """Why a command cannot go on, in one sentence of both languages that quotes nothing personal."""

    def __init__(self, zh: str, en: str, code: str = "usage", exit_code: int = USAGE) -> None:
        super().__init__(zh if zh == en else f"{zh}  {en}")
        self.zh, self.en, self.code, self.exit_code = zh, en, code, exit_code


def language() -> str:
    """Return `zh` or `en` where the locale says one, else `both`."""
    names = ("SKILLPLAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((os.environ[name] for name in names if os.environ.get(name)), "") or _locale_of_windows()
    return locale[:2] if locale[:2] in ("zh", "en") else "both"


def _locale_of_windows() -> str:
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - only there
        import locale  # noqa: PLC0415

        return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")
    return ""


def text(zh: str, en: str, between: str = "  ") -> str:
    """Return a text in the reader's language, in both where that is not known."""
    both = zh if zh == en else f"{zh}{between}{en}"  # some sentences hold both already
    return {"zh": zh, "en": en}.get(language(), both)


def prepare_streams() -> None:
    """Let standard output and error take every text: UTF-8 where the system's encoding lacks Chinese or ✓, as on
    Windows in a pipe; line ends stay as written, so that a CSV template has its own. A stream that is closed takes
    everything and keeps nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole program
            continue
        stream = getattr(sys, name)
        try:
            "✓ 中".encode(stream.encoding)
            encoding = stream.encoding
        except UnicodeEncodeError:
            encoding = "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace", newline="\n")


def give_up_stdout() -> None:
    """Let nothing more be written to standard output, so that what waits in its buffer cannot fail at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_CAUSES: Final = {
    errno.ENOSPC: ("磁盘已满", "the disk is full"),
    errno.EDQUOT: ("磁盘配额已用完", "the disk quota is used up"),
    errno.EACCES: ("没有权限", "no permission"),
    errno.EPERM: ("没有权限", "no permission"),
    errno.EROFS: ("所在磁盘只读", "its disk is read-only"),
    errno.EISDIR: ("这是一个文件夹", "it is a folder"),
    errno.ENOTDIR: ("所在的文件夹不存在", "its folder does not exist"),
    errno.ENOENT: ("没有这个文件或文件夹", "there is no such file or folder"),
    errno.EMFILE: ("打开的文件太多", "too many files are open"),
    errno.EIO: ("磁盘读写出错", "the disk has a fault"),
}


def file_error(error: OSError, doing: tuple[str, str] = ("无法读写", "cannot be read or written")) -> CommandError:
    """Return why a file cannot be used, in a sentence that names it."""
    zh, en = _CAUSES.get(error.errno or 0, (type(error).__name__, type(error).__name__))
    given = error.filename
    name = os.path.basename(os.fsdecode(given)) if isinstance(given, str | bytes) else ""
    about_zh, about_en = (f"文件 {name}", f"The file {name}") if name else ("文件", "A file")
    return CommandError(f"{about_zh} {doing[0]}:{zh}。", f"{about_en} {doing[1]}: {en}.", "no-access", USAGE)


@dataclass(frozen=True, slots=True)
class Output:
    """Sentences and tables for people, or one JSON object a line for programs."""

    json: bool = False

    def sentence(self, zh: str, en: str) -> None:
        """Print a sentence, for people only."""
        self.line(text(zh, en))

    def line(self, line: str) -> None:
        """Print a line, for people only."""
        if not self.json:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def record(self, record: Mapping[str, object]) -> None:
        """Print one object, for programs only."""
        if self.json:
            sys.stdout.write(_json(record) + "\n")
            sys.stdout.flush()

    def error(self, error: CommandError) -> None:
        """Print to standard error why the command does not go on."""
        sys.stdout.flush()
        if self.json:
            record = {"error": {"code": error.code, "zh": error.zh, "en": error.en}}
            sys.stderr.write(_json(record) + "\n")
        else:
            self.problem(error.zh, error.en)

    def problem(self, zh: str, en: str) -> None:
        """Print to standard error one thing that is wrong."""
        sys.stderr.write(f"✗ {text(zh, en, _NEXT_LINE)}\n")

    def table(
        self,
        heads: Sequence[tuple[str, str] | str],
        rows: Sequence[Sequence[str]],
        title: str = "",
        text_columns: int = 2,
    ) -> None:
        """Print a table, for people only; columns after the first `text_columns` are numbers."""
        if self.json:
            return
        table = Table(title=title or None, title_justify="left")
        for at, head in enumerate(heads):
            name = head if isinstance(head, str) else text(*head, "\n")
            table.add_column(name, justify="left" if at < text_columns else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDTH).print(table)

    @contextlib.contextmanager
    def progress(self, zh: str, en: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
        """Show progress as (part of `total`, reports): a bar on a terminal, else a line every few seconds."""
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
            yield _lines_now_and_then(text(zh, en))


def _json(record: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(record).decode()
    except TypeError:  # a file's name that is no text in the system's encoding
        return json.dumps(record, default=str)


def _lines_now_and_then(name: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def progress(_part: int, reports: int) -> None:
        nonlocal last
        if time.monotonic() - last > _PROGRESS_SECONDS:
            last = time.monotonic()
            sys.stderr.write(f"… {name} {reports}\n")

    return progress
