"""Made-up people and organisations: numbers with right check digits that no one has been given, the same every run."""

import json
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from shared.contract.shapes import Organisation, Person

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "建国秀英志强丽华海燕春梅永红晓明雪平"


def resident_number(index: int = 0, born: date = date(1990, 1, 1), place: str = "330602") -> str:
    """Return a resident number by the recursion of ISO 7064 mod 11-2; `index` is below 1000."""
    body = f"{place}{born:%Y%m%d}{index:03}"
    rest = 0
    for digit in body:
        rest = (rest + int(digit)) * 2 % 11
    return body + "0123456789X"[(12 - rest) % 11]


def number_of(index: int) -> str:
    """Return the number of the index-th made-up person."""
    return resident_number(index % 1000, date(1960, 1, 1) + timedelta(days=index // 1000 + index % 12_000))


def name_of(index: int) -> str:
    """Return the name of the index-th made-up person."""
    return _SURNAMES[index % 20] + _GIVEN[index // 20 % 18] + _GIVEN[index // 360 % 18]


def phone_of(index: int) -> str:
    """Return the telephone of the index-th made-up person."""
    return f"199{index:08}"


def reported(index: int = 0) -> dict[str, Any]:
    """Return the index-th made-up person as a district reports one."""
    return {"id_number": number_of(index), "name": name_of(index), "phone": phone_of(index)}


def someone(index: int = 0) -> Person:
    """Return the index-th made-up person as the deciders know one."""
    return Person(token=f"person-{index}", sealed="")


def credit_code(index: int = 0, kind: str = "91", place: str = "330602") -> str:
    """Return a credit code (GB 32100): weights are the powers of 3 modulo 31."""
    body = f"{kind}{place}{index:09}"
    total = sum(pow(3, at, 31) * _ALPHABET.index(char) for at, char in enumerate(body))
    return body + _ALPHABET[(31 - total % 31) % 31]


def organisation(index: int = 0, kind: str = "91") -> Organisation:
    """Return the index-th made-up organisation; kind 12 is a public institution such as a school."""
    return Organisation(credit_code=credit_code(index, kind), name=f"样本机构 Sample {index}")


resident_numbers: Final = st.builds(
    resident_number,
    index=st.integers(0, 999),
    born=st.dates(date(1900, 1, 1), date(2015, 12, 31)),
    place=st.sampled_from(["330602", "330603", "330604", "330624", "330681", "330683", "520102"]),
)
credit_codes: Final = st.builds(
    credit_code, index=st.integers(0, 999_999_999), kind=st.sampled_from(["11", "12", "51", "91", "92"])
)


@cache
def spelt(secret: str) -> set[bytes]:
    """Return the ways in which programs write a text down."""
    escaped = json.dumps(secret)[1:-1]
    return {
        secret.encode(),
        escaped.encode(),
        escaped.upper().replace("\\U", "\\u").encode(),
        secret.encode("utf-16-le"),
        secret.encode("gb18030"),
        repr(secret.encode())[2:-1].encode(),
        "".join(f"%{byte:02X}" for byte in secret.encode()).encode(),
        secret.encode().hex().encode(),
    }
