"""Runs a command: its output and settings; every foreseen failure becomes one bilingual sentence and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import NoReturn, TypeVar

import typer
from aiokafka.errors import KafkaError

from client.journal import default_place, unusable
from client.output import (
    AWAY,
    CRASHED,
    READER_GONE,
    STOPPED,
    USAGE,
    CommandError,
    Output,
    file_error,
    give_up_stdout,
    prepare_streams,
)
from client.routing import CannotPublishError, CannotReachError
from client.settings import ClientSettings, read_settings

T = TypeVar("T")


@contextlib.contextmanager
def session(json: bool, resumable: bool = True) -> Iterator[tuple[Output, ClientSettings]]:
    """Yield output and settings of a command; raises typer.Exit with the exit code where it fails.

    A command that is not `resumable` does not go on where Ctrl-C stopped it, and is not said to.
    """
    output = Output(json)
    try:
        yield output, read_settings()
    except CannotReachError as error:
        raise _failed(output, error) from None
    except CannotPublishError as error:
        raise _failed(output, _kafka_away(str(error))) from None
    except CommandError as error:
        raise _failed(output, error) from None
    except KafkaError as error:
        raise _failed(output, _kafka_away(type(error).__name__)) from None
    except BrokenPipeError:
        give_up_stdout()  # the reader has gone
        raise typer.Exit(READER_GONE) from None
    except sqlite3.Error as error:
        raise _failed(output, unusable(error)) from None
    except OSError as error:
        raise _failed(output, file_error(error)) from None
    except KeyboardInterrupt:
        if not resumable:
            raise
        stopped = CommandError(
            "已中断;重新运行会接着发。", "Stopped; the same command goes on from here.", "stopped", STOPPED
        )
        raise _failed(output, stopped) from None


def run_async(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine; the command itself reports what matters of aiokafka's log."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return asyncio.run(work)


def guarded(program: Callable[[], None]) -> NoReturn:
    """Run the program and end the process: whatever nobody foresaw becomes one sentence, never a traceback."""
    code = CRASHED
    try:
        prepare_streams()
        try:
            program()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
    except BrokenPipeError:
        code = READER_GONE
        give_up_stdout()
    except OSError as error:
        code = USAGE
        give_up_stdout()
        Output().error(file_error(error, ("写不进去", "cannot be written")))
    except KeyboardInterrupt:
        code = STOPPED
        give_up_stdout()
    except Exception as error:  # noqa: BLE001 - the last place that can say it in a sentence
        give_up_stdout()
        Output().error(_crashed(error))
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    sys.exit(code)


def _crashed(error: Exception) -> CommandError:
    """Return the sentence about a fault of the program; where it happened is written to a file, without any value."""
    file = default_place().with_name("error.log")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n", encoding="utf-8"
        )
    except OSError:
        at_zh, at_en = "", ""
    else:
        at_zh, at_en = f"请把 {file} 交给技术支持。", f" Hand {file} to your support."
    name = type(error).__name__
    return CommandError(f"程序出错({name})。{at_zh}", f"The program failed ({name}).{at_en}", "crashed", CRASHED)


def _failed(output: Output, error: CommandError) -> typer.Exit:
    output.error(error)
    return typer.Exit(error.exit_code)


def _kafka_away(why: str) -> CommandError:
    return CommandError(
        f"Kafka 没有收下({why})。请核对 SKILLPLAN_KAFKA;主题由 python -m deploy.kafka.topics 创建。修好后重新运行。",
        f"Kafka did not take it ({why}). Check SKILLPLAN_KAFKA; python -m deploy.kafka.topics creates the topics. Once "
        "repaired, run the same again: what arrived already is not counted twice.",
        "kafka-away",
        AWAY,
    )
