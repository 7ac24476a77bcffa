"""Districts as people name them: a name where a code is asked for, and the name beside a code that is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from client.output import CommandError
from client.tables.names import plain
from client.validation import plans_of
from shared.contract.shapes import DISTRICT_FORM
from shared.plan.model import District

_SUFFIX: Final = re.compile("[区县市]$")


class DistrictNames:
    """The districts of every plan in a folder, by code and by name."""

    def __init__(self, plans: Path) -> None:
        self._plans = plans

    def code(self, written: str) -> str:
        """Return the code that is meant: a code as it is, or that of 诸暨市, 诸暨 or Zhuji; raises CommandError."""
        if re.fullmatch(DISTRICT_FORM, written):
            return written
        code = self._codes.get(plain(written))
        if code is None:
            known_zh = "、".join(f"{each.name.zh}({code})" for code, each in self._districts.items())
            known_en = ", ".join(f"{each.name.en} ({code})" for code, each in self._districts.items())
            raise CommandError(f"没有这个区划。可写名称或代码:{known_zh}。", f"No such district. There are {known_en}.")
        return code

    def label(self, code: str) -> str:
        """Return a code with its name before it, alone where no plan has it."""
        district = self._districts.get(code)
        return code if district is None else f"{district.name.zh} {code}"

    @cached_property
    def _districts(self) -> Mapping[str, District]:
        return {district.code: district for plan in plans_of(self._plans) for district in plan.districts}

    @cached_property
    def _codes(self) -> Mapping[str, str]:
        return {
            plain(name): code
            for code, district in self._districts.items()
            for name in (district.name.en, _SUFFIX.sub("", district.name.zh), district.name.zh)
        }
