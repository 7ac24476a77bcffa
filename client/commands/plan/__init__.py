"""`skillplan plan`: the commands of the plan office. They print what planning answers and decide nothing."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from client.commands.plan.months import approve, close, note, override, restate, send_back, submit
from client.commands.plan.office import DEFAULT_ADDRESS, PlanOptions
from client.commands.plan.subjects import assign, void
from client.commands.plan.targets import adopt, diff, export, revise, show, split, withdraw

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="计划办公室:目标的采用、调整、分解,月度提交与关账 The plan office: targets and months",
)  # fmt: skip


@app.callback()
def _options(
    context: typer.Context,
    address: Annotated[
        str, typer.Option("--url", envvar="SKILLPLAN_PLANNING", help="planning 的地址 its address")
    ] = DEFAULT_ADDRESS,
    json: Annotated[bool, typer.Option("--json", help="供程序读取 for programs")] = False,
) -> None:
    """计划办公室的命令行 The plan office's command line. 密钥 key: SKILLPLAN_KEY."""
    context.obj = PlanOptions(address.rstrip("/"), json)


_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "show": show, "diff": diff, "adopt": adopt, "revise": revise, "split": split, "withdraw": withdraw,
    "export": export, "import": adopt,
    "submit": submit, "return": send_back, "approve": approve, "override": override, "close": close,
    "restate": restate, "note": note, "assign": assign, "void": void,
}  # fmt: skip
for name, command in _COMMANDS.items():
    app.command(name)(command)
