"""`skillplan plan`: what is typed wrong is named in both languages, with exit code 2."""

import sys

import pytest

from client.__main__ import main
from client.output import USAGE


@pytest.mark.parametrize(
    ("typed", "about"),
    [
        ("revise", "indicator"),
        ("revise --bogus", "--bogus"),
        ("nope", "nope"),
        ("revise 1.3.a >=1 --baseline abc", "--baseline"),
        ("withdraw x y", "--why"),
        ("--url", "--url"),
        ("revise 1.3.a many", ">=3600"),
        ("revise 1.3.a >=1e999", ">=3600"),
        ("revise 1.3.a >=1 --baseline inf", ""),
        ("revise 1.3.a >=1 --from 2024-02-30", "YYYY-MM-DD"),
        ("split 1.3.a 2024 330602", "="),
        ("split 1.3.a 2024 330602=1 330602=2", ""),
        ("restate 2024-03", "--number"),
        ("restate 2024-03 --ask", "--why"),
        ("diff no-such-file.yaml", "no-such-file.yaml"),
        ("assign hire/H-1 330602 --why x", "--service"),
        ("void /districts/330681/a x", "--why"),
        ("void /districts/330681/a x --service nope --subject hire/H-1 --why x", ""),
    ],
)
def test_a_command_that_is_typed_wrongly_is_told_so_in_both_languages(
    typed: str, about: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILLPLAN_LANG", "both")
    monkeypatch.setattr(sys, "argv", ["skillplan", "plan", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (USAGE, "")
    zh, en = output.err.splitlines()
    assert zh.startswith("✗ ")
    assert not en.isspace()
    assert about in zh
