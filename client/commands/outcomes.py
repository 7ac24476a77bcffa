"""Prints what the services answered to a few reports, and ends a command with the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import typer

from client.journal_queries import LineOutcome
from client.output import ALL_WELL, SOME_WRONG, UNANSWERED, CommandError, Output
from client.terms import STATUS_NAMES
from client.validation import remedy_of


def conclude(
    output: Output, outcomes: Sequence[LineOutcome], missing: int, patience: float, done: tuple[str, str]
) -> NoReturn:
    """Print each answer, `done` where it is accepted; raises typer.Exit, or CommandError where answers are missing."""
    for answer in outcomes:
        outcome = answer.outcome
        output.record(
            {"source": answer.source, "id": answer.given, "status": outcome.status, "reasons": outcome.reasons}
        )
        zh, en = done if outcome.status == "accepted" else STATUS_NAMES.get(outcome.status, (outcome.status,) * 2)
        if not outcome.is_rejected:
            output.sentence(f"✓ {zh}({answer.given})", f"{en} ({answer.given})")
        elif not output.json:
            for reason in outcome.reasons:
                remedy = remedy_of(reason["code"]) or {"zh": "", "en": ""}
                output.problem(
                    f"{zh}:{reason['zh']} {remedy['zh']}[{reason['code']}]",
                    f"{en}: {reason['en']} {remedy['en']} [{reason['code']}]",
                )
    if any(answer.outcome.is_rejected for answer in outcomes):
        raise typer.Exit(SOME_WRONG)
    if missing:
        raise CommandError(
            f"{patience:.0f} 秒内没有回执。稍后用 skillplan statement 查看。",
            f"There was no receipt in {patience:.0f} s. See `skillplan statement` later.",
            "unanswered",
            UNANSWERED,
        )
    raise typer.Exit(ALL_WELL)
