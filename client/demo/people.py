"""Makes up persons and organisations: well-formed numbers that nobody was ever given, the same for the same feed."""

from __future__ import annotations

import zlib
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from shared.contract.identity_numbers import resident_check_digit
from shared.contract.shapes import credit_check_digit

# No edition of GB/T 2260 has a 3399xx: whoever has such a number does not exist.
_FIRST_PLACE: Final = 339950
_PLACES: Final = 50
_BIRTHDAYS: Final = 16_000
_FIRST_BIRTHDAY: Final = date(1962, 1, 1)
_NUMBERS: Final = _PLACES * _BIRTHDAYS * 1000
_STRIDE: Final = 3**18  # shares no factor with _NUMBERS: every index has a number of its own
_PERSONS_OF_A_FEED: Final = 1_000_000

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
_GIVEN: Final = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
_DISTRICTS: Final = {
    "330600": "绍兴",
    "330602": "越城",
    "330603": "柯桥",
    "330604": "上虞",
    "330624": "新昌",
    "330681": "诸暨",
    "330683": "嵊州",
}
# Kind of organisation: first two characters of its credit code, a letter that tells kinds apart, its name.
_KINDS: Final = {
    "enterprise": ("91", "E", "演示制造有限公司"),
    "bank": ("91", "B", "演示银行"),
    "school": ("12", "C", "演示职业学校"),
    "college": ("12", "J", "演示技师学院"),
    "office": ("11", "G", "演示行政机关"),
    "provider": ("52", "T", "演示培训中心"),
    "nursery": ("52", "N", "演示托育园"),
    "association": ("51", "A", "演示行业协会"),
}


class MadeUpPeople:
    """The population of one feed; two feeds share nobody but by a rare chance."""

    def __init__(self, feed: str) -> None:
        mark = zlib.crc32(feed.encode())
        self._first = mark % (_NUMBERS // _PERSONS_OF_A_FEED) * _PERSONS_OF_A_FEED
        self._mark = _in_letters(mark % len(_ALPHABET) ** 4)
        self.organisation = lru_cache(8192)(self._organisation)

    def person(self, index: int) -> dict[str, str]:
        """Return the index-th person as a district reports one."""
        at = (self._first + index % _PERSONS_OF_A_FEED) * _STRIDE % _NUMBERS
        rest, order = divmod(at, 1000)
        day, place = rest % _BIRTHDAYS, rest // _BIRTHDAYS
        body = f"{_FIRST_PLACE + place}{_birthday(day)}{order:03}"
        name = "演示" + _SURNAMES[at % 30] + _GIVEN[day % 22] + _GIVEN[order % 22]
        return {"id_number": body + resident_check_digit(body), "name": name, "phone": f"100{at % 100_000_000:08}"}

    def _organisation(self, kind: str, district: str, index: int) -> dict[str, str]:
        first, letter, name = _KINDS[kind]
        body = f"{first}{district}{letter}{self._mark}{_in_letters(index)}"
        return {
            "credit_code": body + credit_check_digit(body),
            "name": f"{_DISTRICTS.get(district, '外省')}{name}{index}",
        }


def _birthday(day: int) -> str:
    return f"{_FIRST_BIRTHDAY + timedelta(days=day):%Y%m%d}"


def _in_letters(number: int) -> str:
    letters = ""
    for _ in range(4):
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return letters
