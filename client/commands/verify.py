"""`skillplan verify`: check offline that what a service acknowledged is in its log, by an auditor's mirror of it."""

from pathlib import Path
from typing import Annotated

import typer

from client.audit import verify as checks


def verify(
    receipts: Annotated[Path, typer.Argument(help="回执,`skillplan receipts --json` 的输出 what it has printed")],
    mirror: Annotated[Path, typer.Option(help="日志的镜像 the log's mirror, by `verify.py mirror`")],
    log_key: Annotated[str, typer.Option(help="日志的验证公钥,或其文件 the log's verifier key, or a file with it")],
) -> None:
    """离线核验回执 Prove offline that what was acknowledged is still in the log, as it was (docs/audit.md)."""
    arguments = ["receipts", str(receipts), "--mirror", str(mirror), "--key", log_key]
    raise typer.Exit(checks.main(arguments))
