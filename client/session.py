"""Runs a command: its output and settings; every foreseen failure becomes one bilingual sentence and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from client.output import AWAY, SOME_WRONG, STOPPED, USAGE, CommandError, Output
from client.routing import CannotPublishError
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
    except CannotPublishError as error:
        raise _failed(output, _kafka_away(str(error))) from None
    except CommandError as error:
        raise _failed(output, error) from None
    except KafkaError as error:
        raise _failed(output, _kafka_away(type(error).__name__)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: no flush may fail
        raise typer.Exit(SOME_WRONG) from None
    except (OSError, sqlite3.Error) as error:
        name = type(error).__name__
        unreadable = CommandError(
            f"文件无法读写({name})。", f"A file cannot be read or written ({name}).", "no-access", USAGE
        )
        raise _failed(output, unreadable) from None
    except KeyboardInterrupt:
        if not resumable:
            raise
        stopped = CommandError(
            "已中断;重新运行会接着发。", "Stopped; the same command goes on from here.", "stopped", STOPPED
        )
        raise _failed(output, stopped) from None


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; the command itself reports what matters of aiokafka's log."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return asyncio.run(work)


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
