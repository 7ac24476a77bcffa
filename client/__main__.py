"""`skillplan`: the command line of districts and of the plan office.

Exit codes: 0 all well; 1 something was refused, invalid or left out; 2 the command, a file or a setting is wrong;
3 the service or broker is away (the same command goes on later); 4 not everything was answered in time; 70 a fault of
the program; 130 stopped; 141 whoever read the output has gone.
"""

from __future__ import annotations

import contextlib
import signal
from typing import NoReturn

# Until the program is loaded, for a second or two, Ctrl-C simply ends it: nothing has begun that could go on.
with contextlib.suppress(ValueError):  # not in the main thread
    _handler = signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer

from client.commands import plan
from client.commands.correct import correct
from client.commands.demo import demo
from client.commands.evidence import evidence
from client.commands.publish import publish
from client.commands.receipts import receipts
from client.commands.retract import retract
from client.commands.sample import sample
from client.commands.statement import statement
from client.commands.validate import validate
from client.commands.verify import verify
from client.commands.witness import witness
from client.output import STOPPED, language
from client.session import guarded
from shared.process.command_line import run

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="区县与计划办公室一侧:核对、报送、回执、对账,目标与月份 "
    "The side of districts and the plan office: validate, publish, receipts, statement; targets and months",
    epilog="退出码 exit codes: 0 全部正常 all well · 1 有误或被拒 something wrong or refused · "
    "2 用法、文件或设置有误 usage · 3 服务不可用 service away · 4 未全部答复 not all answered · "
    "70 程序出错 a fault of the program · 130 中断 stopped · 141 输出无人接收 nobody reads",
)  # fmt: skip
for command in (validate, publish, receipts, statement, correct, retract, evidence, verify, witness, sample, demo):
    app.command()(command)
app.add_typer(plan.app, name="plan")


with contextlib.suppress(ValueError, NameError):
    signal.signal(signal.SIGINT, _handler)


def main() -> NoReturn:
    """Run the program."""
    guarded(lambda: run(app, "skillplan", STOPPED, language()))


if __name__ == "__main__":
    main()
