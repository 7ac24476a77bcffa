"""`skillplan sample`: a valid report of a type, a template to fill in, or a mapping file to start from."""

import difflib
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from client import sample as samples
from client import template
from client.commands.options import Json
from client.fields import LANGUAGES, reported_types
from client.output import CommandError
from client.session import session


def sample(
    type_: Annotated[str, typer.Argument(metavar="[TYPE]", help="事件类型 the event type; none: list them")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="CSV 模板 a template")] = False,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="把 Excel 模板写到此文件 write a template there")] = None,
    mapping: Annotated[bool, typer.Option("--mapping", help="映射文件样例 a mapping to start from")] = False,
    json: Json = False,
) -> None:
    """打印某类型的有效事件或模板 Print a valid event of a type, or a template to fill in."""
    with session(json) as (output, _):
        if not type_:
            output.record({"types": reported_types()})
            output.line("\n".join(reported_types()))
            return
        event = samples.sample(type_)
        if event is None or ((mapping or csv or xlsx) and type_ not in reported_types()):
            raise _no_such_type(type_)
        if mapping:
            sys.stdout.write(template.mapping(type_))
        elif csv:
            sys.stdout.write("\ufeff" + template.csv_template(type_))
        elif xlsx is not None:
            template.write_workbook(type_, xlsx)
            output.sentence(f"✓ 已写入 {xlsx.name}", f"{xlsx.name} written")
        else:
            sys.stdout.write(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode() + "\n")


def _no_such_type(type_: str) -> CommandError:
    if any(language.find(type_) for language in LANGUAGES):
        return CommandError(
            "这种类型没有样例或表格模板:或由系统决定,或由市计划办公室以 skillplan plan 的命令报送。",
            "No sample or template: the system decides this type, or the commands of skillplan plan report it.",
        )
    types = reported_types()
    near = [name for name in types if type_ in name] or difflib.get_close_matches(type_, types, 1)
    hint_zh, hint_en = (f"是 {near[0]} 吗?", f"Did you mean {near[0]}? ") if near else ("", "")
    return CommandError(
        f"没有这种类型。{hint_zh}不带参数可列出全部类型。",
        f"There is no such type. {hint_en}Without an argument all are listed.",
    )
