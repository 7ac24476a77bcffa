"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from client.output import CommandError
from client.tables.rows import Hidden

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

File = Annotated[str, typer.Argument(help="NDJSON、CSV 或 XLSX;- 为标准输入(NDJSON) or - for stdin (NDJSON)")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", "-m", help="表格的映射文件 YAML: how rows become reports")
]
Encoding = Annotated[str | None, typer.Option(help="CSV 编码,不写则自动识别 encoding of a CSV file; found by itself")]
Sheet = Annotated[str | None, typer.Option(help="工作表,默认第一张有这些列的 sheet; the first with the columns")]
HiddenRows = Annotated[
    Hidden | None, typer.Option("--hidden", help="隐藏或筛选掉的行:报还是不报 rows that are not seen: take them or not")
]
District = Annotated[str | None, typer.Option(help="区划代码 district code")]
Source = Annotated[str | None, typer.Option(help="只看某系统 only of this source")]
Json = Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象,供程序读取 one JSON object a line")]
Http = Annotated[bool, typer.Option("--http", help="经 HTTP(默认经 Kafka) by HTTP rather than Kafka")]
Key = Annotated[str | None, typer.Option(help="HTTP 密钥,或 SKILLPLAN_KEY key, or SKILLPLAN_KEY")]
Patience = Annotated[float, typer.Option(min=0, help="至多等几秒 seconds to wait for a service or for answers")]
JournalFile = Annotated[Path | None, typer.Option("--journal", help="发送记录 where it is kept what was sent")]
Limit = Annotated[int, typer.Option(min=0, help="最多显示几处错误 how many faults to show")]


def span(text: str) -> timedelta:
    """Read a span such as 30m, 24h, 7d; raises CommandError."""
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", text)
    if match is None:
        raise CommandError("--since 应为 30m、24h、7d 这样的时长。", "--since is a span such as 30m, 24h, 7d.")
    number, unit = match.groups()
    return timedelta(**{_UNITS[unit]: int(number)})


def check_day(text: str) -> None:
    """Raise CommandError where a text is no date."""
    try:
        date.fromisoformat(text)
    except ValueError:
        raise CommandError("--since 应为 YYYY-MM-DD。", "--since is a day, YYYY-MM-DD.") from None
