"""Spoils well-formed reports in every way a broken system might, deterministically by seed."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

_STRANGE: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    3.0,
    1e308,
    2**63,
    10**30,
    "",
    " ",
    "x" * 5000,
    "\x00",
    "\u202e\ufeff",
    "e\u0301",
    "2024-02-30",
    "9999-12-31",
    "0001-01-01T00:00:00+14:00",
    "2024-01-01T00:00:60Z",
    "330681199001011237",
    "G330681199001011237",
    [],
    {},
    [[[]]],
    {"a": {"b": None}},
    "１２３４５６",
    "../../etc",
    "'; drop table fact; --",
)


def spoiled(reports: list[dict[str, Any]], count: int, seed: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield (the well-formed report, the bytes of what became of it); some of them are no JSON any more."""
    chance = random.Random(seed)  # noqa: S311
    for number in range(count):
        original = copy.deepcopy(chance.choice(reports))
        original["id"] = f"spoiled-{number}"
        event = copy.deepcopy(original)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _spoil(event, chance)
        raw = json.dumps(event, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        if chance.random() < 0.2:
            raw = _damage(raw, chance)
        yield original, raw


def _spoil(event: dict[str, Any], chance: random.Random) -> None:
    places = list(_places(event))
    inside, key = chance.choice(places)
    way = chance.randrange(5)
    if way == 0:
        del inside[key]
    elif way == 1:
        inside[key] = copy.deepcopy(chance.choice(_STRANGE))  # what comes next may spoil it, too
    elif way == 2:  # another place's value
        other, name = chance.choice(places)
        if name in other and "id_number" not in other:  # a passport's number put in an id can be known by nobody
            inside[key] = copy.deepcopy(other[name])
    elif way == 3:
        inside[f"{key}{chance.choice(('x', '/', '~', ' '))}"] = copy.deepcopy(inside.get(key))
    elif isinstance(inside[key], str) and inside[key]:
        text = inside[key]
        at = chance.randrange(len(text))
        inside[key] = text[:at] + chance.choice("0aX-/ 汉\x7f\ud800") + text[at + chance.randrange(2) :]


def _places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(value, dict):
        for key in list(value):
            yield value, key
            yield from _places(value[key])


def _damage(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    ways = (
        raw[:at],
        raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :],
        b"[" * 2000 + raw,
        raw + raw,
        b"[" + raw + b"]",
        raw.replace(b":", b": NaN ,", 1),
        b"\xff\xfe" + raw,
    )
    return chance.choice(ways)
