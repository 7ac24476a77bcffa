"""Runs a Typer program with usage errors in both languages; Typer itself has English alone."""

import re
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import typer
from rich.console import Console

MISUSED: Final = 2
_err: Final = Console(stderr=True)


def run(
    app: typer.Typer,
    name: str,
    interrupted: int,
    language: str = "both",
    help_of: Callable[[str], str] = "{} --help".format,
) -> NoReturn:
    """Run a command line and end with its exit code: 2 where it was typed wrong, `interrupted` where it was stopped.

    `language`: `zh`, `en` or `both`, of what is said about either. `help_of`: what explains a command.
    """
    try:
        sys.exit(int(app(prog_name=name, standalone_mode=False) or 0))
    except typer.Abort:
        _err.print(_text("已中断。", "Interrupted.", language), markup=False)
        sys.exit(interrupted)
    except typer.TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # the help was printed
            _err.print(_misused(error, name, language, help_of), markup=False, soft_wrap=True)
        sys.exit(MISUSED)


def _misused(error: typer.TyperException, name: str, language: str, help_of: Callable[[str], str]) -> str:
    context = getattr(error, "ctx", None)
    see = help_of(context.command_path if context else name)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    message = " ".join(message.split()).rstrip(".")
    named = re.search(r".*env var: '(\w+)'|'([^']+)'|(-{1,2}[a-z][a-z-]*)", message)
    about = f"({named[1] or named[2] or named[3]})" if named else ""
    end = "" if message.endswith("?") else "."
    return _text(f"命令写法有误{about},请看 {see}。", f"{message}{end} See {see}.", language)


def _text(zh: str, en: str, language: str) -> str:
    return "✗ " + {"zh": zh, "en": en}.get(language, f"{zh}\n  {en}")
