"""The data files that the program reads: beside the packages, in a checkout as in an installed wheel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import yaml

_ROOT: Final = Path(__file__).resolve().parents[1]
PLANS: Final = _ROOT / "plans"
_WORDS: Final = _ROOT / "docs" / "words.yaml"


@cache
def terms() -> Mapping[str, Mapping[str, str]]:
    """Return the Chinese terms of fields and values, by `fields` and `values`."""
    terms: Mapping[str, Mapping[str, str]] = yaml.safe_load(_WORDS.read_text(encoding="utf-8"))
    return terms
