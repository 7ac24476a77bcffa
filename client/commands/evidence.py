"""`skillplan evidence`: write the evidence pack of a closed month, which anybody checks offline (docs/audit.md)."""

from pathlib import Path
from typing import Annotated

import typer

from client.audit.evidence import Sources, archive, month_of
from client.commands.options import Json, Key
from client.session import session

_SECONDS = 60.0


def evidence(
    plan: Annotated[str, typer.Argument(help="计划编号 the plan's id")],
    month: Annotated[str, typer.Argument(help="已关账的月份 a closed month, YYYY-MM")],
    file: Annotated[Path, typer.Argument(help="写到哪个 zip 文件 the archive to write")],
    district: Annotated[str | None, typer.Option(help="只要某区划的数字 figures of a district")] = None,
    indicator: Annotated[
        list[str] | None, typer.Option(help="只要这些指标,可重复 only these indicators; repeat")
    ] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """证据包:数字、事实、证明、副署和核验页 Evidence of a closed month, with the page that checks it offline."""
    with session(json, resumable=False) as (output, settings), settings.wire(key).synchronous(_SECONDS) as http:
        files = month_of(Sources(http, settings.addresses), plan, month, district, indicator or [])
        content = archive(files)
        file.write_bytes(content)
        output.record({"file": str(file), "bytes": len(content), "files": sorted(files)})
        output.sentence(f"已写入 {file}(用 check.html 核验)。", f"{file} is written; check it by check.html.")
