"""Shows what goes on while it takes long: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx
from rich.console import Console

from deploy.local.refusal import LocalError

_console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_started = time.monotonic()
# In a log a line every so often shows that it is still going on; more would hide the rest.
_REMINDER = 5.0
INTERRUPTED: Final = 130


def say(zh: str, en: str) -> None:
    """Print one line in both languages."""
    _console.print(f"{_elapsed()} {zh}  {en}", markup=False)


def refuse(zh: str, en: str) -> None:
    """Print why it does not go on, last and apart from all else."""
    sys.stdout.flush()
    sys.stderr.write(f"\n✗ {zh}\n  {en}\n")


def in_one_sentence(run: Callable[[], object]) -> int:
    """Answer with one clear sentence wherever a person can do something about it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it warns of is in that sentence
    try:
        return int(str(run() or 0))
    except LocalError as refusal:
        refuse(refusal.zh, refusal.en)
    except PermissionError as error:
        refuse(
            f"没有权限写 {error.filename}。请检查其所有者,或用 STATE=<可写的文件夹>。",
            f"No permission to write {error.filename}. See who owns it, or use STATE=<a folder you may write>.",
        )
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        refuse(
            f"数据库连不上({type(error).__name__})。请先启动它。",
            f"The database is not reached ({type(error).__name__}). Start it first.",
        )
    except httpx.HTTPError as error:
        where = error.request.url.netloc.decode()
        refuse(
            f"{where} 没有及时回答({type(error).__name__})。已启动的部分仍在运行:请看 make status,或再次运行 make up。",
            f"{where} did not answer ({type(error).__name__}). What was started still runs: see make status,"
            " or run make up again.",
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        refuse(
            f"无法写 {error.filename or '磁盘'}:磁盘已满或只读。请腾出空间,或用 STATE=<别处的文件夹>。",
            f"Cannot write {error.filename or 'the disk'}: full or read-only. Free some or use STATE=<elsewhere>.",
        )
    except KeyboardInterrupt:
        refuse(
            "已中断;已启动的部分仍在运行,make down 可停止。",
            "Interrupted; what was started still runs, make down stops it.",
        )
        return INTERRUPTED
    return 1


@contextlib.contextmanager
def step(zh: str, en: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it runs and how long it took; the given function adds what it is at just now."""
    began = time.monotonic()
    if _console.is_terminal:
        with _console.status(f"{zh}  {en}") as status:
            yield lambda detail: status.update(f"{zh}  {en}  {detail}")
    else:
        printed_at = began

        def tell(detail: str) -> None:
            nonlocal printed_at
            if time.monotonic() - printed_at > _REMINDER:
                printed_at = time.monotonic()
                say(f"… {zh}", f"{en}  {detail}")

        say(f"… {zh}", en)
        yield tell
    say(f"✓ {zh}", f"{en}  ({time.monotonic() - began:.1f} s)")


def show(renderable: object) -> None:
    """Print a table or text of rich."""
    _console.print(renderable)


def _elapsed() -> str:
    return f"[{time.monotonic() - _started:5.1f} s]"
