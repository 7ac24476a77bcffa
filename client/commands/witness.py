"""`skillplan witness`: cosign the checkpoints of logs, as a district or the audit bureau (docs/audit.md)."""

from pathlib import Path
from typing import Annotated

import typer

from client.commands.options import Json
from client.output import CommandError
from client.session import session


def witness(
    folder: Annotated[Path, typer.Argument(help="存放密钥和已副署的检查点 keeps the key and what was cosigned")],
    name: Annotated[str, typer.Option(help="见证的名称,如 audit.sx.gov.cn/witness the name it cosigns under")],
    log: Annotated[list[str], typer.Option(help="日志的验证公钥或其文件,可重复 a log's key, or a file; repeat")],
    host: Annotated[str, typer.Option(help="监听地址 address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="监听端口 port to listen on")] = 8090,
    json: Json = False,
) -> None:
    """见证日志:查明只增未改后副署 Cosign what logs sign once it is shown that they only grew (C2SP tlog-witness)."""
    with session(json, resumable=False) as (output, _):
        try:
            from client.audit.witness import CosigningWitness, server_of  # noqa: PLC0415 - no other command needs it
        except ImportError:
            raise CommandError(
                "缺少 cryptography 包:pip install cryptography。", "The package is missing: pip install cryptography."
            ) from None
        if not name or any(sign.isspace() or sign == "+" for sign in name):
            raise CommandError("--name 不能有空白和加号。", "--name holds neither spaces nor a plus sign.")
        keys = [line for given in log for line in _keys_in(given)]
        cosigns = CosigningWitness(folder, name, keys)
        try:  # the process holds the folder until it ends
            server = server_of(cosigns, host, port)
        except OSError as error:
            raise CommandError(
                f"不能监听 {host}:{port}({error.strerror})。", f"Cannot listen on {host}:{port} ({error.strerror})."
            ) from None
        address = f"http://{host}:{server.server_port}/#{cosigns.key.verifier_key}"
        output.record({"witness": address, "key": cosigns.key.verifier_key})
        output.line(address)
        try:
            server.serve_forever()
        finally:
            server.server_close()


def _keys_in(given: str) -> list[str]:
    file = Path(given)
    return file.read_text(encoding="utf-8").split() if file.is_file() else [given]
