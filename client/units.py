"""Units of amounts and counts: what a mapping may name, and what headers, titles and cells say."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

Unit = Literal["fen", "yuan", "wan-yuan", "wan"]

FACTORS: Final[dict[Unit, int]] = {"fen": 1, "yuan": 100, "wan-yuan": 1_000_000, "wan": 10_000}
_WORDS: Final[dict[str, Unit]] = {
    "分": "fen", "人民币分": "fen", "fen": "fen",
    "元": "yuan", "人民币": "yuan", "人民币元": "yuan", "圆": "yuan", "rmb": "yuan", "cny": "yuan", "¥": "yuan",
    "yuan": "yuan", "块": "yuan", "元整": "yuan", "元/人": "yuan", "元人民币": "yuan",
    "万元": "wan-yuan", "人民币万元": "wan-yuan", "万元人民币": "wan-yuan", "wan-yuan": "wan-yuan", "万圆": "wan-yuan",
}  # fmt: skip
# Money in other multiples, parts of a hundred: no mapping can say them, and no report takes them.
_MONEY: Final = re.compile(r"(?:人民币)?(?:[十百千万亿]*[元圆角分]|rmb|cny|yuan|fen|¥)(?:人民币|整)?(?:[/每].{1,4})?")
_MULTIPLE: Final = re.compile(r"([十百千万亿]+)(?:[人名个家次户只张份件项场课学时位岗]{0,3})|[%‰]|[百千]分[比之].*")
_BRACKETED: Final = re.compile(r"[(\[【〔{]([^)\]】〕}]{1,12})[)\]】〕}]")
_ENDING: Final = re.compile(r"(?:[/_\-,:]|金额|资金|补贴|经费|总额|额度|款|费)((?:人民币)?[百千万亿]*[元圆]|分|%)$")


def unit_of(word: str) -> Unit | None:
    """Return the unit of money that a word in a cell or header names, None where it is none that a mapping has."""
    return _WORDS.get(unicodedata.normalize("NFKC", word).replace(" ", "").lower())


def stated_unit(header: str) -> str | None:
    """Return the unit or factor that a header names, as it stands there: 元 of 金额(元), 万人 of 人口(万人)."""
    text = unicodedata.normalize("NFKC", header).replace(" ", "").lower()
    for match in _BRACKETED.finditer(text):
        inner = match[1].removeprefix("单位").removeprefix(":")
        if _MONEY.fullmatch(inner) or _MULTIPLE.fullmatch(inner):
            return inner
    ending = _ENDING.search(text)
    return ending[1] if ending else None


def contradicts(stated: str, unit: Unit | None) -> bool:
    """Return whether what a header or title states is another unit than the mapping's."""
    if unit_of(stated) is not None:
        return unit_of(stated) != unit
    if unit == "wan":
        multiple = _MULTIPLE.fullmatch(stated)
        return multiple is None or multiple[1] != "万"
    return True
