"""The district's command line: `python -m services.district demo | publish | sample`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from services.district.chronicle import CITY, Told
from services.district.client import CannotPublishError, Client, Clients, DistrictSettings, Receipts
from services.district.demo import DEFAULT_REPORTS, feed
from services.district.sample import sample, types
from shared.broker import Broker, wrong_settings
from shared.events import SHANGHAI

_REMINDER: Final = 2.0
_CHUNK: Final = 65_536
app = typer.Typer(add_completion=False, no_args_is_help=True, help="区县一侧:参考客户端与演示数据 The district's side")


@app.command()
def demo(
    reports: Annotated[int, typer.Option(min=1, help="报告份数 how many reports")] = DEFAULT_REPORTS,
    seed: Annotated[int, typer.Option(help="随机种子 the same seed and size give the same feed")] = 1,
    corrections: Annotated[bool, typer.Option(help="含更正与撤回 with corrections and retractions")] = True,
    patience: Annotated[
        float, typer.Option(min=0, help="等待受理目录与标准的秒数 seconds to wait until catalogue and standards are in")
    ] = 30,
) -> None:
    """经 Kafka 上报一批演示数据 Publish a demo feed, as the districts would."""
    _run(_demo(_settings(), feed(reports, seed, datetime.now(SHANGHAI).date(), corrections), reports, patience))


@app.command()
def publish(
    file: Annotated[str, typer.Argument(help="NDJSON 文件,- 为标准输入 one CloudEvent a line; - is stdin")],
) -> None:
    """上报文件中的事件 Publish the events of a file."""
    _run(_publish(_settings().broker, file))


@app.command("sample")
def show_sample(
    type_: Annotated[str, typer.Argument(metavar="[TYPE]", help="事件类型 the event type; none: list them")] = "",
) -> None:
    """打印某类型的一个有效事件 Print one valid event of a type."""
    if not type_:
        sys.stdout.write("\n".join(types()) + "\n")
        return
    event = sample(type_)
    if event is None:
        _refuse("没有这种类型;不带参数可列出全部类型。", "There is no such type; without an argument all are listed.")
    sys.stdout.write(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode() + "\n")


async def _demo(settings: DistrictSettings, told: Iterator[Told], reports: int, patience: float) -> None:
    async with Clients(settings) as client, Receipts(settings.broker_of(CITY), [CITY]) as receipts:
        with _progress("演示数据上报", "Publishing the demo feed", reports) as show:
            first: list[tuple[str, str]] = []
            for number, one in enumerate(told, 1):
                if first and one.due > 0:
                    await _settle(client, receipts, first, patience)
                    first = []
                if one.due == 0:
                    first.append((one.envelope["source"], one.envelope["id"]))
                await client.publish(one.envelope)
                show(number)
            await client.flush()
    _say(f"✓ 已上报 {client.acknowledged} 份", f"{client.acknowledged} reports published")


async def _settle(client: Clients, receipts: Receipts, first: list[tuple[str, str]], patience: float) -> None:
    """Wait until what the rest depends on is decided: between subjects a service keeps no order (RULES A17)."""
    await client.flush()
    if not patience:
        return
    missing = await receipts.await_answers(first, min(patience, _REMINDER))
    if missing and patience > _REMINDER:
        _say("… 等待市级目录与标准受理", "Waiting for the city's catalogues and standards to be decided")
        missing = await receipts.await_answers(missing, patience - _REMINDER)
    if missing:
        _say(
            f"… {patience:.0f} 秒内有 {len(missing)} 份目录、标准未获回执(服务未运行?),继续上报,部分申领可能被拒",
            f"{len(missing)} of {len(first)} first reports had no receipt in {patience:.0f} s (is the service up?); "
            "going on, some claims may be refused",
        )


async def _publish(broker: Broker, file: str) -> None:
    wrong = 0
    async with Client(broker) as client:
        with _progress("上报", "Publishing", None) as show:
            number = 0
            async for line in _lines(file):
                number += 1
                if not line.strip():
                    continue
                try:
                    await client.publish(_event(line))
                except CannotPublishError as error:
                    wrong += 1
                    sys.stderr.write(f"第 {number} 行 line {number}: {error}\n")
                show(number)
            await client.flush()
    _say(
        f"✓ 已上报 {client.acknowledged} 份,{wrong} 行有误未报",
        f"{client.acknowledged} reports published, {wrong} lines left out",
    )
    if wrong:
        raise typer.Exit(1)


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise CannotPublishError("不是 JSON  no JSON") from None
    if not isinstance(event, dict):
        raise CannotPublishError("不是 JSON 对象  no JSON object")
    return event


async def _lines(file: str) -> AsyncIterator[bytes]:
    """Yield the lines of a file as they come: a pipe that pauses must not hold up what was read already."""
    with open(sys.stdin.fileno() if file == "-" else file, "rb", closefd=file != "-") as stream:  # noqa: ASYNC230
        rest = b""
        while chunk := await asyncio.to_thread(stream.read1, _CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
        if rest:
            yield rest


@contextlib.contextmanager
def _progress(zh: str, en: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far it is: a bar on a terminal, else a line every so often."""
    console = Console(highlight=False)
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn()
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(f"{zh}  {en}", total=total)
            yield lambda done: bar.update(task, completed=done) if done % 50 == 0 or done == total else None
        return
    shown = time.monotonic()

    def tell(done: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > _REMINDER:
            shown = time.monotonic()
            _say(f"… {zh} {done}{f'/{total}' if total else ''}", en)

    yield tell


def _say(zh: str, en: str) -> None:
    sys.stdout.write(f"{zh}  {en}\n")
    sys.stdout.flush()


def _refuse(zh: str, en: str) -> None:
    sys.stderr.write(f"✗ {zh}\n  {en}\n")
    raise typer.Exit(1)


def _settings() -> DistrictSettings:
    try:
        return DistrictSettings()
    except ValidationError as error:
        sys.exit(f"✗ {wrong_settings(error)}")


def _run(work: Coroutine[Any, Any, None]) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters of it is said below
    try:
        asyncio.run(work)
    except FileNotFoundError:
        _refuse("没有这个文件。", "There is no such file.")
    except (KafkaError, CannotPublishError) as error:
        what = str(error) if isinstance(error, CannotPublishError) else type(error).__name__
        _refuse(
            f"Kafka 没有收下({what})。请核对 SKILLPLAN_KAFKA;主题由 python -m deploy.topics 创建。修好后重报即可。",
            f"Kafka did not take it ({what}). Check SKILLPLAN_KAFKA; python -m deploy.topics creates the topics. Once "
            "repaired, publish the same again: what arrived already is answered as a duplicate.",
        )


if __name__ == "__main__":
    app()
