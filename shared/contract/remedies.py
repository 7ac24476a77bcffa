"""Remedies: what to do about a code, read from the file that the documentation shows, too."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

REMEDIES: Final = Path(__file__).resolve().parents[2] / "docs" / "fixes.yaml"
_SEND_TO: Final = "send-to-<service>"


@cache
def written() -> Mapping[str, Mapping[str, Any]]:
    """Return every remedy, by status and code; none where the documentation is not installed."""
    if not REMEDIES.is_file():
        return {}
    remedies: dict[str, Mapping[str, Any]] = yaml.safe_load(REMEDIES.read_text(encoding="utf-8"))
    return remedies


def remedy_of(code: str) -> dict[str, str] | None:
    """Return what to do about a code, in both languages; None when there is no remedy."""
    wanted = _SEND_TO if code.startswith("send-to-") else code
    for codes in written().values():
        if wanted in codes:
            return {language: text.strip() for language, text in codes[wanted]["fix"].items()}
    return None
