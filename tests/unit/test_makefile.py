"""What `make` adds to the verbs of an operator: nothing, and a code that says whether it was done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_refusal_is_the_last_that_is_said(tmp_path: Path) -> None:
    refused = make("status", f"STATE={tmp_path}")
    assert refused.returncode == 1
    assert "Run make up first." in refused.stderr
    assert "***" not in refused.stdout + refused.stderr


def test_what_was_typed_wrong_is_called_as_it_was_typed(tmp_path: Path) -> None:
    wrong = make("backup", f"STATE={tmp_path}", "RAW_HOURS=many")
    assert wrong.returncode == 1
    zh, en = wrong.stderr.splitlines()
    assert "(RAW_HOURS),请看 make help。" in zh
    assert en.endswith("See make help.")


@pytest.mark.parametrize(("verb", "command", "code"), [("keys", "true", 0), ("recount", "exit 3;", 1)])
def test_what_a_verb_ends_with_is_what_make_ends_with(verb: str, command: str, code: int) -> None:
    done = make(verb, f"LOCAL={command}")
    assert (done.returncode, done.stderr) == (code, "")


def test_what_follows_a_verb_that_failed_is_not_done_and_a_dry_run_does_nothing() -> None:
    both = make("backup", "restore", "LOCAL=f() { echo ran $$1; return 1; }; f")
    assert (both.returncode, both.stdout.split("ran ")[1:]) == (1, ["backup\n"])
    dry = make("-n", "backup", "LOCAL=echo $$((1+1))")
    assert "\n2" not in dry.stdout
    assert "echo $((1+1)) backup" in dry.stdout


def test_a_target_of_developers_says_what_failed_as_make_does() -> None:
    failed = make("venv-dev", "PYTHON=false")
    assert failed.returncode == 2
    assert "***" in failed.stderr
