"""The columns that a type's table has, found in a table by their names: as the template calls them, or as people do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from client.fields import event_of, reported_types
from client.output import CommandError
from client.sample import MEMBER_OF
from client.tables.names import plain
from client.template import Template, TemplateColumn, template_of
from client.terms import field_name, type_name
from services.catalogue import COUNTED
from shared.contract.events import Opens, Stands

NUMBER: Final = "编号"  # the template's column that an id is made of
_DAY: Final = "日期"
_BRACKETS: Final = re.compile(r"[(\[【〔{“\"][^)\]】〕}”\"]*[)\]】〕}”\"]")
_SERIAL: Final = ("序号", "行号", "no.", "#")  # begin again at 1 in the next table, so that they name no thing
_WORN: Final = (("之日", _DAY), ("时间", _DAY), ("号码", "号"), ("编码", "代码"), ("的", ""))
# What people call a field, by the end of its path; as `_reduced` leaves it.
_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "person.id_number": ("身份证号", "身份证", "公民身份号", "公民身份证号", "身份证件号", "居民身份证号", "证件号"),
    "person.id_type": ("证件类别", "证件种类"),
    "person.name": (
        "人员姓名", "员工姓名", "职工姓名", "学生姓名", "学员姓名", "劳动者姓名", "申领人", "申请人",
    ),
    "person.phone": ("联系电话", "手机", "手机号", "联系方式", "电话号"),
    "enterprise.name": ("用人单位", "单位名称", "用人单位名称", "企业", "公司名称", "单位"),
    "school.name": ("学校名称", "学校", "院校"),
    "provider.name": ("机构名称", "培训机构", "培训单位"),
    "credit_code": ("统一社会信用代码", "社会信用代码", "信用代码", "统一信用代码", "统一代码"),
    "occupation_code": ("职业代码", "工种代码", "职业工种代码"),
    "level": ("等级", "技能级别", "职业技能等级", "级别"),
    "amount_fen": ("金额", "补贴金额", "支付金额", "发放金额", "拨付金额", "授信金额"),
    "hired_on": ("入职日期", "聘用日期", "签订日期", "合同签订日期"),
    "reason": ("原因", "理由"),
}  # fmt: skip
_NUMBER_ENDS: Final = ("编号", "号")
_MEMBERS: Final[Mapping[str, str]] = {
    NUMBER: "number", _DAY: "date", "业务编号": "subject number", "学号": "student number",
    "培训班编号": "course number", "学员编号": "seat number",
}  # fmt: skip
_MOST_NEEDED: Final = 0.5  # a type is proposed where at least this part of the columns that it needs is there


@dataclass(frozen=True, slots=True)
class TypeGuess:
    """A type of report, and how many of the columns that it needs a table has."""

    type: str
    matched: int
    needed: int
    named: int = 0  # of all its columns


@cache
def templates() -> Mapping[str, Template]:
    """Return the templates of every type that plans count and a table can hold, by type."""
    result: dict[str, Template] = {}
    for type_ in reported_types():
        event = event_of(type_)
        if type_.split(".")[1] in COUNTED and event is not None and event.subject:
            try:
                result[type_] = template_of(type_)
            except CommandError:
                continue  # it holds a list
    return result


@cache
def all_names() -> frozenset[str]:
    """Return every name by which a header may call a column, by which a header is found among title rows."""
    names = {column.header for template in templates().values() for column in template.columns}
    return frozenset(names | {name for called in _CALLED.values() for name in called})


def is_needed(template: Template, column: TemplateColumn) -> bool:
    """Return whether a table must have a column: a number not, where the subject alone says which thing it is."""
    if column.header != NUMBER or column.field is not None:
        return column.is_needed
    event = event_of(template.type)
    names_itself = event is not None and isinstance(event.role, Opens | Stands)
    return not names_itself or f"{{{NUMBER}}}" in template.subject


def name_of(template: Template, column: TemplateColumn) -> tuple[str, str]:
    """Return what a column is called, in Chinese and in English."""
    if column.field is not None:
        english = column.field.path.removeprefix("data.").replace("amount_fen", "amount (yuan)")
        return column.header, english.replace(".", " ").replace("_", " ")
    event = event_of(template.type)
    members = MEMBER_OF.findall(event.subject) if event is not None else []
    member = next((name for name in members if field_name(f"data.{name}") == column.header), column.header)
    return column.header, _MEMBERS.get(column.header, member.replace(".", " ").replace("_", " "))


def title_of(type_: str) -> tuple[str, str]:
    """Return what a type is called, in Chinese and in English."""
    event, english = event_of(type_), type_.split(".")[2].replace("-", " ")
    former = f" (former v{event.version}, until {event.sunset})" if event is not None and event.sunset else ""
    return type_name(type_), english + former


def match(headers: Sequence[str], columns: Sequence[TemplateColumn]) -> dict[str, int]:
    """Return the position of each column whose header is recognized, by the column's name; each header once.

    From the surest way to the least sure; where a way leaves a choice, nothing is chosen.
    """
    result: dict[str, int] = {}
    open_ = [at for at, header in enumerate(headers) if header and plain(header) not in _SERIAL]
    for way in (_same, _reduced_same, _called, _contained, _only_number, _only_date):
        pairs = [
            (column.header, at)
            for column in columns
            if column.header not in result
            for at in open_
            if way(headers[at], column, columns)
        ]
        for name, at in pairs:
            alone = sum(other == name for other, _ in pairs) == 1 == sum(place == at for _, place in pairs)
            if alone and name not in result and at in open_:
                result[name] = at
                open_.remove(at)
    return result


def guesses(headers: Sequence[str]) -> list[TypeGuess]:
    """Return every type, that first which a table's headers fit best."""
    result = []
    for type_, template in templates().items():
        if (event := event_of(type_)) is None or event.sunset:
            continue  # a table of a former version looks much like one of the newest; who has one names it
        matched = match(headers, template.columns)
        needed = [column.header for column in template.columns if is_needed(template, column)]
        result.append(TypeGuess(type_, sum(name in matched for name in needed), len(needed), len(matched)))
    return sorted(result, key=_fit, reverse=True)


def best(ordered: Sequence[TypeGuess]) -> str | None:
    """Return the type that a table is of, None where none fits or two fit alike."""
    first, second = ordered[:2]
    return first.type if first.matched >= max(2, _MOST_NEEDED * first.needed) and _fit(first) > _fit(second) else None


def _fit(guess: TypeGuess) -> tuple[float, int]:
    return guess.named - 2 * (guess.needed - guess.matched), guess.matched


def _same(header: str, column: TemplateColumn, _: Sequence[TemplateColumn]) -> bool:
    names = {plain(column.header)}
    if column.field is not None:
        names |= {column.field.path, column.field.path.removeprefix("data."), column.field.path.rpartition(".")[2]}
    return plain(header) in names


def _reduced(name: str) -> str:
    text = _BRACKETS.sub("", plain(name))
    for worn, plainer in _WORN:
        text = text.replace(worn, plainer)
    return text


def _reduced_same(header: str, column: TemplateColumn, _: Sequence[TemplateColumn]) -> bool:
    return bool(_reduced(header)) and _reduced(header) == _reduced(column.header)


def _called(header: str, column: TemplateColumn, _: Sequence[TemplateColumn]) -> bool:
    return _reduced(header) in _names_of(column)


def _names_of(column: TemplateColumn) -> Collection[str]:
    path = column.field.path if column.field is not None else ""
    return {name for ending, names in _CALLED.items() if path.endswith(f".{ending}") for name in names}


def _contained(header: str, column: TemplateColumn, _: Sequence[TemplateColumn]) -> bool:
    own, other = _reduced(header), _reduced(column.header)
    return min(len(own), len(other)) > 1 and (own.endswith(other) or other.endswith(own)) and column.header != NUMBER


def _only_number(header: str, column: TemplateColumn, _: Sequence[TemplateColumn]) -> bool:
    return column.header == NUMBER and _reduced(header).endswith(_NUMBER_ENDS)


def _only_date(header: str, column: TemplateColumn, columns: Sequence[TemplateColumn]) -> bool:
    dates = [each for each in columns if (each.is_date or each.header == _DAY) and each.is_needed]
    return dates == [column] and _reduced(header).endswith(_DAY)


def words_of(column: TemplateColumn, own: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the value that each word of a column means: the template's, the values themselves, a person's `own`."""
    if column.field is None or not column.choices:
        return None
    meanings = dict(column.choices) | {value: value for value in column.choices.values()}
    meanings |= {bare: value for word, value in column.choices.items() for bare in _bare(word)}
    return meanings | dict(own)


def _bare(word: str) -> Iterator[str]:
    yield word.strip('“”"')
    yield _BRACKETS.sub("", word) or word
