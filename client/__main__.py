"""The district's command line: validate, publish, receipts, statement, sample; and the demo feed.

Exit codes: 0 all well; 1 something was refused, invalid or left out; 2 the command, a file or a setting is wrong;
3 the service or broker is away (the same command goes on later); 4 not everything was answered in time; 130 stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Coroutine, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer
from aiokafka.errors import KafkaError
from pydantic import Field, FilePath, SecretStr, ValidationError
from pydantic_settings import SettingsError

from client import receipts as hearing
from client import sample as samples
from client.check import Checker, Item, Opened, ReportFault, districts_of
from client.demo.calendar import CITY, PlannedReport
from client.demo.feed import DEFAULT_REPORTS, feed
from client.forms import ROOT
from client.http import WebClient
from client.journal import Journal, default_place
from client.kafka import CannotPublishError, Client, Clients, DistrictSettings, Receipts
from client.output import AWAY, SOME_WRONG, STOPPED, UNANSWERED, USAGE, CommandError, Output, text
from client.publish import Summary, send_file
from services.catalogue import DOMAIN_SERVICES, PROJECTION
from shared.contract.events import SHANGHAI
from shared.kafka.clients import wrong_settings
from shared.process.command_line import run

STATUSES: Final = ("accepted", "waiting", "refused", "invalid", "misdirected", "duplicate")
_REMINDER: Final = 2.0
_FAULTS_SHOWN: Final = 20
_ASKED_AT_ONCE: Final = 10_000
_SPANS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
T = TypeVar("T")
app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="区县一侧:核对、报送、回执、对账 The district's side: validate, publish, receipts, statement",
    epilog="退出码 exit codes: 0 全部正常 all well · 1 有误或被拒 something wrong or refused · "
    "2 用法、文件或设置有误 usage · 3 服务不可用 service away · 4 未全部答复 not all answered · 130 中断 stopped",
)  # fmt: skip


class ClientSettings(DistrictSettings):
    """What the command is told from outside, as every process of Skillplan."""

    services: dict[str, str] = Field(
        {name: f"http://127.0.0.1:{entry.port}" for name, entry in DOMAIN_SERVICES.items()},
        description='Addresses of the services for --http, {"enrollment": "http://…", …}',
    )
    projection: str = Field(
        f"http://127.0.0.1:{PROJECTION.port}", description="Address of the projection, for receipts --http"
    )
    key: SecretStr = Field(SecretStr(""), description="HTTP key of the district")
    ca: FilePath | None = Field(None, description="File of the CA that signed the services' certificates")
    plans: Path = Field(ROOT / "plans", description="Folder of the plan files")
    journal: Path = Field(default_factory=default_place, description="Where it is kept what was sent")

    @property
    def addresses(self) -> dict[str, str]:
        """Where each process answers over HTTP."""
        return self.services | {"projection": self.projection}


File = Annotated[str, typer.Argument(help="NDJSON、CSV 或 XLSX;- 为标准输入(NDJSON) or - for stdin (NDJSON)")]
Mapping_ = Annotated[Path | None, typer.Option("--mapping", "-m", help="表格的映射文件 YAML: how rows become reports")]
Encoding = Annotated[str | None, typer.Option(help="CSV 编码,不写则自动识别 encoding of a CSV file; found by itself")]
Sheet = Annotated[str | None, typer.Option(help="工作表,默认第一张 sheet of a workbook; the first")]
District = Annotated[str | None, typer.Option(help="区划代码 district code")]
Json = Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象,供程序读取 one JSON object a line")]
Http = Annotated[bool, typer.Option("--http", help="经 HTTP(默认经 Kafka) by HTTP rather than Kafka")]
Key = Annotated[str | None, typer.Option(help="HTTP 密钥,或 SKILLPLAN_KEY key, or SKILLPLAN_KEY")]
Patience = Annotated[float, typer.Option(min=0, help="至多等几秒 seconds to wait for a service or for answers")]
JournalFile = Annotated[Path | None, typer.Option("--journal", help="发送记录 where it is kept what was sent")]
Limit = Annotated[int, typer.Option(min=0, help="最多显示几处错误 how many faults to show")]


@app.command()
def validate(
    file: File,
    mapping: Mapping_ = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    district: District = None,
    limit: Limit = _FAULTS_SHOWN,
    json: Json = False,
) -> None:
    """核对文件,不发送 Check a file without sending it."""
    out = Output(json)
    with _speaking(out) as settings:
        opened = Opened(file, mapping, encoding, sheet, Checker(districts_of(settings.plans), district))
        show = _Faults(out, limit)
        reports = wrong = 0
        with out.progress("核对", "Checking", opened.total) as progress:
            for item in opened.items():
                if item is None:
                    continue
                reports += 1
                wrong += bool(item.faults)
                for fault in item.faults:
                    show(fault)
                progress(opened.progress.read, reports)
        show.rest()
        out.tell({"summary": {"reports": reports, "right": reports - wrong, "wrong": wrong}})
        out.say(
            f"{'✗' if wrong else '✓'} 共 {reports} 份,正确 {reports - wrong},有误 {wrong}",
            f"{reports} reports, {reports - wrong} right, {wrong} wrong",
        )
        raise typer.Exit(SOME_WRONG if wrong else 0)


@app.command()
def publish(
    file: File,
    mapping: Mapping_ = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    http: Http = False,
    key: Key = None,
    wait: Annotated[bool, typer.Option("--wait", help="等到全部有回执 wait until everything is answered")] = False,
    patience: Patience = 60,
    again: Annotated[bool, typer.Option("--again", help="已发送的也重发 send again what was sent before")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="不先核对 do not check before sending")] = False,
    journal: JournalFile = None,
    limit: Limit = _FAULTS_SHOWN,
    json: Json = False,
) -> None:
    """报送文件;中断后再运行会接着发 Publish a file; after a break the same command goes on."""
    out = Output(json)
    with _speaking(out) as settings:
        opened = Opened(file, mapping, encoding, sheet, Checker(districts_of(settings.plans)))
        summary = Summary()
        shown = _Faults(out, limit, sys.stderr)
        doing = _Publishing(settings, out, opened, shown, summary, again, unchecked)
        left, began = 0, datetime.now(UTC)
        with Journal(journal or settings.journal, _target(settings, http)) as kept:
            try:
                _run(doing.by_http(kept, _key(settings, key), patience) if http else doing.by_kafka(kept))
                if wait and not http:
                    left = _run(_await_answers(settings, kept, began, patience))
                    summary.by_status, summary.rejected = kept.answers_since(began)
            finally:
                shown.rest()
                doing.summarise()
        if left:
            raise CommandError(
                f"{patience:.0f} 秒内还有 {left} 份没有回执。稍后用 skillplan statement 查看。",
                f"{left} reports had no receipt in {patience:.0f} s. See `skillplan statement` later.",
                "unanswered",
                UNANSWERED,
            )
        raise typer.Exit(SOME_WRONG if summary.left_out or summary.rejected else 0)


@app.command()
def receipts(
    district: District = None,
    status: Annotated[str | None, typer.Option(help="只看 refused、waiting 等 only this status")] = None,
    source: Annotated[str | None, typer.Option(help="只看某系统 only of this source")] = None,
    since: Annotated[str, typer.Option(help="最近多久,如 30m、24h、7d how far back")] = "24h",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="持续显示 go on showing")] = False,
    http: Http = False,
    key: Key = None,
    patience: Patience = 60,
    json: Json = False,
) -> None:
    """查看回执 Show the answers to reports."""
    out = Output(json)
    with _speaking(out) as settings:
        back = _span(since)
        known = districts_of(settings.plans)
        if district is not None and district not in known:
            raise CommandError(f"计划中没有区划代码 {district}。", f"No plan has the district {district}.")
        if status is not None and status not in STATUSES:
            said = ", ".join(STATUSES)
            raise CommandError(f"--status 应为 {said} 之一。", f"--status is one of {said}.")
        if http and district is None and _key(settings, key) is not None:
            raise CommandError("用密钥时请以 --district 指明区划代码。", "With a key, name its district by --district.")
        districts = [district] if district else known

        def wanted(receipt: Mapping[str, Any]) -> bool:
            return (status is None or receipt.get("status") == status) and (
                source is None or receipt.get("source") == source
            )

        began = datetime.now(UTC) - back
        if http:
            asking = _receipts_by_http(settings, out, districts, began, wanted, follow, _key(settings, key), patience)
            _run(asking)
        else:
            _run(_receipts(settings, out, districts, began, wanted, follow))


@app.command()
def statement(
    district: District = None,
    source: Annotated[str | None, typer.Option(help="只看某系统 only of this source")] = None,
    since: Annotated[str | None, typer.Option(help="从哪一天起 YYYY-MM-DD from which day on")] = None,
    http: Http = False,
    key: Key = None,
    patience: Patience = 30,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """对账单:每日每类已报、受理、等待、拒绝、无回执 Sent, accepted, waiting, refused, unanswered by day and type."""
    out = Output(json)
    with _speaking(out) as settings:
        if since is not None:
            _day(since)
        with Journal(journal or settings.journal, _target(settings, http)) as kept:
            if http:
                _run(_ask_again(settings, kept, _key(settings, key), patience))
            else:
                _run(_catch_up(settings, kept, [district] if district else kept.districts()))
            names = ("sent", "accepted", "waiting", "refused", "invalid", "no_answer")
            rows, total = [], [0] * len(names)
            for day, type_, counts in kept.statement(district, source, since):
                out.tell({"day": day, "type": type_, **dict(zip(names, counts, strict=True))})
                rows.append([day, type_.removeprefix("skillplan."), *map(str, counts)])
                total = [one + more for one, more in zip(total, counts, strict=True)]
            out.tell({"total": dict(zip(names, total, strict=True))})
            heads = [("日期", "Day"), ("类型", "Type"), ("已报", "Sent"), ("受理", "Accepted"), ("等待", "Waiting"),
                     ("拒绝", "Refused"), ("有误", "Invalid"), ("无回执", "No answer")]  # fmt: skip
            out.table(heads, [*rows, [text("合计", "Total"), "", *map(str, total)]])


@app.command("sample")
def show_sample(
    type_: Annotated[str, typer.Argument(metavar="[TYPE]", help="事件类型 the event type; none: list them")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="CSV 模板 a template")] = False,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="把 Excel 模板写到此文件 write a template there")] = None,
    mapping: Annotated[bool, typer.Option("--mapping", help="映射文件样例 a mapping to start from")] = False,
    json: Json = False,
) -> None:
    """打印某类型的有效事件或模板 Print a valid event of a type, or a template to fill in."""
    out = Output(json)
    with _speaking(out):
        if not type_:
            if json:
                out.tell({"types": samples.types()})
            else:
                sys.stdout.write("\n".join(samples.types()) + "\n")
            return
        event = samples.sample(type_)
        if event is None:
            near = [one for one in samples.types() if type_ and type_ in one] or difflib.get_close_matches(
                type_, samples.types(), 1
            )
            hint = (f"是 {near[0]} 吗?", f"Did you mean {near[0]}? ") if near else ("", "")
            raise CommandError(
                f"没有这种类型。{hint[0]}不带参数可列出全部类型。",
                f"There is no such type. {hint[1]}Without an argument all are listed.",
            )
        if mapping:
            sys.stdout.write(samples.mapping(type_))
        elif csv:
            sys.stdout.write("\ufeff" + samples.template(type_))
        elif xlsx is not None:
            samples.write_workbook(type_, xlsx)
            out.say(f"✓ 已写入 {xlsx.name}", f"{xlsx.name} written")
        else:
            sys.stdout.write(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode() + "\n")


@app.command()
def demo(
    reports: Annotated[int, typer.Option(min=1, help="报告份数 how many reports")] = DEFAULT_REPORTS,
    seed: Annotated[int, typer.Option(help="随机种子 the same seed and size give the same feed")] = 1,
    corrections: Annotated[bool, typer.Option(help="含更正与撤回 with corrections and retractions")] = True,
    patience: Annotated[
        float, typer.Option(min=0, help="等待受理目录与标准的秒数 seconds to wait until catalogue and standards are in")
    ] = 30,
    json: Json = False,
) -> None:
    """经 Kafka 上报一批演示数据 Publish a demo feed, as the districts would."""
    out = Output(json)
    with _speaking(out) as settings:
        told = feed(reports, seed, datetime.now(SHANGHAI).date(), corrections)
        _run(_demo(settings, out, told, reports, patience))


async def _demo(
    settings: ClientSettings, out: Output, told: Iterator[PlannedReport], reports: int, patience: float
) -> None:
    async with Clients(settings) as client, Receipts(settings.broker_of(CITY), [CITY]) as receipts:
        with out.progress("演示数据上报", "Publishing the demo feed", reports) as show:
            first: list[tuple[str, str]] = []
            for number, one in enumerate(told, 1):
                if first and one.due > 0:
                    await _settle(client, receipts, out, first, patience)
                    first = []
                if one.due == 0:
                    first.append((one.envelope["source"], one.envelope["id"]))
                await client.publish(one.envelope)
                if number % 50 == 0 or number == reports:
                    show(number, number)
            await client.flush()
    out.tell({"summary": {"sent": client.acknowledged}})
    out.say(f"✓ 已上报 {client.acknowledged} 份", f"{client.acknowledged} reports published")


async def _settle(
    client: Clients, receipts: Receipts, out: Output, first: list[tuple[str, str]], patience: float
) -> None:
    """Wait until what the rest depends on is decided: between subjects a service keeps no order (RULES A17)."""
    await client.flush()
    if not patience:
        return
    missing = await receipts.await_answers(first, min(patience, _REMINDER))
    if missing and patience > _REMINDER:
        out.say("… 等待市级目录与标准受理", "Waiting for the city's catalogues and standards to be decided")
        missing = await receipts.await_answers(missing, patience - _REMINDER)
    if missing:
        out.say(
            f"… {patience:.0f} 秒内有 {len(missing)} 份目录、标准未获回执(服务未运行?),继续上报,部分申领可能被拒",
            f"{len(missing)} of {len(first)} first reports had no receipt in {patience:.0f} s (is the service up?); "
            "going on, some claims may be refused",
        )


class _Faults:
    """Shows what is wrong, to people at most so much."""

    def __init__(self, out: Output, limit: int, stream: Any = None) -> None:
        self._out, self._limit, self._stream = out, limit, stream or sys.stdout
        self._count = 0

    def __call__(self, fault: ReportFault) -> None:
        self._count += 1
        if self._out.json:
            self._out.tell(fault.as_json())
        elif self._count <= self._limit:
            self._stream.write(fault.as_text() + "\n")

    def rest(self) -> None:
        """Say how many were not shown."""
        if not self._out.json and (more := self._count - self._limit) > 0:
            self._stream.write(text(f"… 另有 {more} 处(--limit 可多显示)", f"{more} more (--limit shows more)") + "\n")


class _Publishing:
    """One run of `publish`, by whichever way."""

    def __init__(
        self,
        settings: ClientSettings,
        out: Output,
        opened: Opened,
        shown: _Faults,
        summary: Summary,
        again: bool,
        unchecked: bool,
    ) -> None:
        self._settings, self._out, self._opened, self._shown = settings, out, opened, shown
        self._summary, self._again, self._unchecked = summary, again, unchecked

    async def by_kafka(self, journal: Journal) -> None:
        async with Client(self._settings.broker) as client:
            await self._send(client, journal)

    async def by_http(self, journal: Journal, key: str | None, patience: float) -> None:
        async with WebClient(self._settings.services, key, patience, self._settings.ca) as client:
            await self._send(client, journal)

    async def _send(self, client: Client | WebClient, journal: Journal) -> None:
        # Ctrl-C must get through while a pipe is read, where asyncio's own handler would wait for the next line.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self._out.progress("报送", "Publishing", self._opened.total) as progress:
            await send_file(
                self._opened, client, journal, self._shown, self._answered, progress, self._summary,
                again=self._again, unchecked=self._unchecked,
            )  # fmt: skip

    def _answered(self, item: Item, receipt: Mapping[str, Any]) -> None:
        for reason in (receipt.get("first") or receipt).get("reasons", ()):
            self._shown(ReportFault(item.line, reason["code"], reason["zh"], reason["en"], reason.get("pointer")))

    def summarise(self) -> None:
        """Say what became of the file, also when it ended in between."""
        summary, out = self._summary, self._out
        out.tell({"summary": summary.as_json()})
        statuses = ", ".join(f"{status} {count}" for status, count in sorted(summary.by_status.items()))
        shown = f" ({statuses})" if statuses else ""
        before = (f",以前已送达 {summary.before}", f", {summary.before} arrived before") if summary.before else ("", "")
        wrong = summary.left_out or summary.rejected or sys.exc_info()[0] is not None
        out.say(
            f"{'✗' if wrong else '✓'} 已报送 {summary.sent}{shown}{before[0]},有误未报 {summary.left_out}",
            f"{summary.sent} published{shown}{before[1]}, {summary.left_out} left out",
        )


async def _receipts(
    settings: ClientSettings, out: Output, districts: list[str], since: datetime, wanted: Any, follow: bool
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async with Receipts(settings.broker, districts, since) as heard:
        await hearing.show(out, hearing.by_kafka(heard, follow), wanted)


async def _receipts_by_http(
    settings: ClientSettings, out: Output, districts: list[str], since: datetime, wanted: Any, follow: bool,
    key: str | None, patience: float,
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async with WebClient(settings.addresses, key, patience, settings.ca) as client:
        await hearing.show(out, hearing.by_http(client, districts, since, follow), wanted)


async def _await_answers(settings: ClientSettings, journal: Journal, began: datetime, patience: float) -> int:
    """Follow the receipts until everything sent since then has one; return how many have none when patience is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    async with Receipts(settings.broker, journal.districts()) as heard:
        while True:
            await _hear(heard, journal)
            left = journal.unanswered_since(began)
            if not left or loop.time() > end:
                return left
            await asyncio.sleep(0.3)


async def _catch_up(settings: ClientSettings, journal: Journal, districts: list[str]) -> None:
    if districts:
        async with Receipts(settings.broker, districts) as heard:
            await _hear(heard, journal)


async def _hear(heard: Receipts, journal: Journal) -> None:
    """Read into the journal what the receipts topics have beyond it."""
    async for topic, found, following in heard.up_to_now({topic: journal.place(topic) for topic in heard.topics}):
        journal.heard(found, topic, following)


async def _ask_again(settings: ClientSettings, journal: Journal, key: str | None, patience: float) -> None:
    """Ask the services for what has no answer yet or waits."""
    async with WebClient(settings.services, key, patience, settings.ca) as client:
        for source, id_, type_ in journal.unanswered(_ASKED_AT_ONCE, also_waiting=True):
            receipt = await client.receipt(type_.split(".")[1], source, id_)
            if receipt is not None:
                journal.acknowledged([{"source": source, "id": id_}], [receipt])


@contextlib.contextmanager
def _speaking(out: Output) -> Iterator[ClientSettings]:
    """Yield the settings; whatever ends the command is said in one sentence and becomes its exit code."""
    try:
        yield _settings()
    except CommandError as refusal:
        out.refuse(refusal)
        raise typer.Exit(refusal.exit_code) from None
    except (KafkaError, CannotPublishError) as error:
        what = str(error) if isinstance(error, CannotPublishError) else type(error).__name__
        out.refuse(
            CommandError(
                f"Kafka 没有收下({what})。请核对 SKILLPLAN_KAFKA;主题由 python -m deploy.kafka.topics 创建。"
                "修好后重新运行。",
                f"Kafka did not take it ({what}). Check SKILLPLAN_KAFKA; python -m deploy.kafka.topics creates the "
                "topics. Once repaired, run the same again: what arrived already is not counted twice.",
                "kafka-away",
            )
        )
        raise typer.Exit(AWAY) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        raise typer.Exit(SOME_WRONG) from None
    except (OSError, sqlite3.Error) as error:
        what = type(error).__name__
        out.refuse(CommandError(f"文件无法读写({what})。", f"A file cannot be read or written ({what}).", "no-access"))
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        out.refuse(CommandError("已中断;重新运行会接着发。", "Stopped; the same command goes on from here.", "stopped"))
        raise typer.Exit(STOPPED) from None


def _settings() -> ClientSettings:
    try:
        return ClientSettings()
    except SettingsError:
        raise CommandError(
            "设置有误:SKILLPLAN_SERVICES 应为 JSON。", "Wrong setting: SKILLPLAN_SERVICES must be JSON."
        ) from None
    except ValidationError as error:
        said = wrong_settings(error)
        raise CommandError(said, said) from None


def _target(settings: ClientSettings, http: bool) -> str:
    """Name where things go; what another place acknowledged says nothing about this one."""
    return "http:" + ",".join(sorted(settings.services.values())) if http else f"kafka:{settings.kafka}"


def _key(settings: ClientSettings, given: str | None) -> str | None:
    return given or settings.key.get_secret_value() or None


def _span(shown: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,5})([smhd])", shown)
    if found is None:
        raise CommandError("--since 应为 30m、24h、7d 这样的时长。", "--since is a span such as 30m, 24h, 7d.")
    return timedelta(**{_SPANS[found[2]]: int(found[1])})


def _day(shown: str) -> None:
    try:
        date.fromisoformat(shown)
    except ValueError:
        raise CommandError("--since 应为 YYYY-MM-DD。", "--since is a day, YYYY-MM-DD.") from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters of it is said by the command
    return asyncio.run(work)


if __name__ == "__main__":
    run(app, "skillplan", STOPPED)
