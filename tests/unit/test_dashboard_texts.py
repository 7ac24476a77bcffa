"""Every text of the dashboard is in one catalogue, in both languages, with none missing and none unused."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.conftest import ROOT

_SOURCES: Final = ROOT / "services" / "projection" / "dashboard" / "src"
_CATALOGUE: Final[dict[str, dict[str, str]]] = json.loads(
    (_SOURCES / "texts" / "texts.json").read_text(encoding="utf-8")
)
_CODE: Final = {
    file.relative_to(_SOURCES).as_posix(): file.read_text(encoding="utf-8") for file in sorted(_SOURCES.rglob("*.ts*"))
}
_CHINESE: Final = re.compile(r"[一-鿿]")


@pytest.mark.parametrize("key", _CATALOGUE)
def test_a_text_is_there_in_both_languages_with_the_same_values_in_it(key: str) -> None:
    text = _CATALOGUE[key]
    assert set(text) == {"zh", "en"}
    assert text["zh"].strip()
    assert text["en"].strip()
    values = [sorted(re.findall(r"\{(\w+)\}", text[language])) for language in ("zh", "en")]
    assert values[0] == values[1]


def test_every_text_is_used() -> None:
    code = "".join(_CODE.values())
    assert [key for key in _CATALOGUE if f'"{key}"' not in code] == []


def test_every_text_that_is_used_is_there() -> None:
    for name, code in _CODE.items():
        used = set(re.findall(r'\bt\("([^"]+)"', code))
        assert used - set(_CATALOGUE) == set(), name


def test_no_source_has_a_text_of_its_own() -> None:
    for name, code in _CODE.items():
        assert not _CHINESE.search(code), name
        # A label written out would be in one language only.
        labels = re.findall(r'(?:aria-label|title|placeholder|alt)="[^"]*[A-Za-z][^"]*"', code)
        assert labels == [], name
