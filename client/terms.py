"""What types, fields, values and answers are called in Chinese, as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from client.fields import LANGUAGES

# The Chinese terms of fields and values; beside the package in a checkout as in an installed wheel.
_TERMS_FILE: Final = Path(__file__).resolve().parents[1] / "docs" / "words.yaml"
_TITLE: Final = re.compile(r"[\u4e00-\u9fff]+(?=: )")
# What stands in a report but in no fact, and so not in docs/words.yaml.
_PERSONAL: Final = {
    "person": "人员", "id_number": "证件号码", "id_type": "证件类型", "phone": "电话",
    "credit_code": "统一社会信用代码",
    "resident": "居民身份证", "passport": "护照", "hk-macao-taiwan": "港澳台居民证件",
}  # fmt: skip
ATTRIBUTE_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "specversion": ("版本标记", "version mark"),
    "type": ("报告类型", "report type"),
    "id": ("编号", "id"),
    "source": ("来源", "source"),
    "subject": ("业务编号", "subject"),
    "time": ("发生时间", "time"),
    "district": ("区划代码", "district"),
    "corrects": ("所更正的编号", "corrects"),
    "data": ("内容", "data"),
}
STATUS_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": ("受理", "accepted"),
    "waiting": ("等待", "waiting"),
    "refused": ("退回", "refused"),
    "invalid": ("有误", "invalid"),
    "misdirected": ("应发往他处", "misdirected"),
    "duplicate": ("重复", "duplicate"),
}
FLAG_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "needs-review": ("须人工复核", "needs review"),
    "same-content": ("与另一份内容相同", "same content as another"),
    "voided": ("已由市里作废", "voided by the city"),
}


@cache
def terms() -> Mapping[str, Mapping[str, str]]:
    """Return the Chinese terms, of types, fields and values."""
    terms: Mapping[str, Mapping[str, str]] = yaml.safe_load(_TERMS_FILE.read_text(encoding="utf-8"))
    return terms


def value_names() -> Mapping[str, str]:
    """Return what the values of enumerations are called."""
    return {**terms()["values"], **_PERSONAL}


def field_name(path: str) -> str:
    """Return the name of a field in Chinese, with what it belongs to; `data.person.name` is 姓名."""
    *owners, last = path.split(".")[1:]
    names = {**terms()["values"], **terms()["fields"], **_PERSONAL}
    if owners == ["person"]:
        return "姓名" if last == "name" else names.get(last, last)
    return "".join(names.get(step, step) for step in (*owners, last))


def place_name(pointer: str) -> tuple[str, str]:
    """Return what stands at a JSON pointer, in Chinese and in English; an unknown name as it is."""
    steps = pointer.strip("/").split("/")
    if len(steps) == 1 or steps[0] != "data":
        zh, en = ATTRIBUTE_NAMES.get(steps[0], (steps[0], steps[0]))
        return zh, en
    names = [step for step in steps if not step.isdecimal()]
    return field_name(".".join(names)) or ATTRIBUTE_NAMES["data"][0], ".".join(steps[1:])


@cache
def type_name(type_: str) -> str:
    """Return what a type is called in Chinese, the type itself where it has no name."""
    parts = type_.split(".")
    if len(parts) != 4:  # noqa: PLR2004 - skillplan.<service>.<name>.v<n>
        return type_
    _, service, name, _ = parts
    names = terms()["types"]
    event = next((event for language in LANGUAGES if (event := language.find(type_)) is not None), None)
    title = _TITLE.match(event.__doc__ or "") if event is not None else None
    known = title[0] if title else names.get(f"{service}.{name}") or names.get(name) or type_
    return f"{known}(旧版 v{event.version},收到 {event.sunset})" if event is not None and event.sunset else known
