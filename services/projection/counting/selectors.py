"""Selectors of a plan on the data of a fact: `where`, `by` and `add`, each compiled to a function."""

import operator
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from services.projection.counting.facts import Data
from shared.plan.model import Amount, Other, Selector
from shared.plan.parts import Scalar

Match = Callable[[Data], bool]
Member = Callable[[Data, str], str | None]  # given the data and the subject
AmountOf = Callable[[Data], int]

_SCALARS: Final = frozenset({str, int, bool})


def always(_data: Data) -> bool:
    """Match every fact."""
    return True


def once(_data: Data) -> int:
    """Count a fact as 1."""
    return 1


def nobody(_data: Data, _subject: str) -> None:
    """Name no member: the fact has none of its own."""
    return


def constant(member: str) -> Member:
    """Return what names the same member for every fact."""
    return lambda _data, _subject: member


def member_by(by: str) -> Member:
    """Return what tells members apart: a person's token, an organisation's credit code, else the value itself."""
    if by == "subject":
        return lambda _data, subject: subject
    get = _getter(by)

    def member(data: Data, _subject: str) -> str | None:
        value = get(data)
        if isinstance(value, dict):
            value = value.get("token") or value.get("credit_code")
        return None if value is None else str(value)

    return member


def sum_of(paths: Sequence[str], sign: int = 1) -> AmountOf:
    """Return what adds up some fields, absent ones as 0; without fields every fact counts 1."""
    if not paths:
        return once
    getters = [_getter(path) for path in paths]

    def amount(data: Data) -> int:
        total = 0
        for get in getters:
            value = get(data)
            if value is not None:
                if type(value) is not int:
                    raise TypeError("an amount is an integer")
                total += value
        return sign * total

    return amount


def amount_of(amount: Amount) -> AmountOf:
    """Return what an amount adds, or takes off."""
    return sum_of(amount.add, -1 if amount.minus else 1)


def matches(selector: Selector) -> Match:
    """Return the test of `where`; values are compared with their JSON type, so that true is not 1."""
    if not selector.where:
        return always
    tests = [(_getter(path), *_wanted(values)) for path, values in selector.where.items()]

    def match(data: Data) -> bool:
        for get, listed, wanted in tests:
            value = get(data)
            if (type(value) in _SCALARS and (type(value), value) in listed) is not wanted:
                return False
        return True

    return match


def _wanted(values: Other | tuple[Scalar, ...]) -> tuple[frozenset[tuple[type, object]], bool]:
    """Return the values listed, with their types, and whether one of them is wanted or none."""
    match values:
        case Other():
            listed, wanted = values.other_than, False
        case tuple():
            listed, wanted = values, True
        case _:
            assert_never(values)
    return frozenset((type(value), value) for value in listed), wanted


def value_at(data: Data, path: str) -> object:
    """Return the value of a field; None where a part of the path is not there."""
    value: object = data
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def text_at(data: Data, path: str) -> str | None:
    """Return the text of a field, None where there is none; raises TypeError where it is no text."""
    value = value_at(data, path)
    if value is not None and not isinstance(value, str):
        raise TypeError(path)
    return value


def _getter(path: str) -> Callable[[Data], object]:
    """Return what reads a field; the same as `value_at`, made once."""
    return (lambda data: value_at(data, path)) if "." in path else operator.methodcaller("get", path)
