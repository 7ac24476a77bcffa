"""How the rows of a table become reports: columns fill fields, templates fill the envelope's attributes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import JsonValue

from client.cells import DecimalSign
from client.fields import ReportField, fields_of
from client.output import CommandError
from client.tables.files import TableOptions
from client.tables.rows import Rows
from client.tables.sheet import letters_of
from client.units import Unit, contradicts, stated_unit, unit_of
from shared.contract.events import Event

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_ALIKE: Final = 0.5  # names of columns are short
_OTHER_TABLE: Final = (
    "表里一列也没有认出来。请看看:是不是这张表(不是 PDF、网页);表头是不是在最前几行;CSV 是不是用半角逗号分隔;"
    "文字编码特别的用 --encoding 指明。要的是:",
    "No column of the table is known. See whether it is this table (not a PDF or web page), whether its header stands "
    "in the first rows, and whether a CSV has plain commas; name an unusual encoding by --encoding. Wanted are:",
)


@dataclass(frozen=True, slots=True)
class Column:
    """The field that a column fills, with the value of each word and the unit of an amount."""

    path: str
    values: Mapping[str, str] | None = None
    unit: Unit | None = None


class MappingFault(NamedTuple):
    """What is wrong with a mapping file, by line and key; faults sort by line."""

    line: int
    key: str
    zh: str
    en: str


class KeyPlace(NamedTuple):
    """Where the mapping file names a column."""

    line: int
    key: str


@dataclass(frozen=True, slots=True)
class RowMapping:
    """How the rows of one file become reports of one type."""

    event: type[Event]
    type: str
    columns: Mapping[str, Column]
    templates: Mapping[str, str]  # attribute → text with {column}
    constants: Mapping[str, JsonValue] = field(default_factory=dict)  # path → value
    options: TableOptions = field(default_factory=TableOptions)
    decimal: DecimalSign | None = None
    key_places: Mapping[str, KeyPlace] = field(default_factory=dict)  # column → where the mapping file names it

    @property
    def wanted(self) -> list[str]:
        """The columns that the table must have."""
        named = [*self.columns, *(column for text in self.templates.values() for column in columns_in(text))]
        return list(dict.fromkeys(named))

    def positions_in(self, rows: Rows, name: str) -> dict[str, int]:
        """Return where in a table every column stands; raises CommandError, naming line and key of those that do not
        fit it. `name`: that of the mapping file."""
        faults: list[MappingFault] = []
        positions: dict[str, int] = {}
        places_of = {column: rows.header.positions(column) for column in self.wanted}
        # The names of what may be no header are not repeated: they may be those of persons.
        is_header = sum(map(bool, places_of.values())) * 2 >= len(places_of)
        for column, places in places_of.items():
            if len(places) == 1:
                positions[column] = places[0]
            elif places:
                letters = "、".join(letters_of(place) for place in places)
                faults.append(
                    self._fault(
                        column,
                        f"表头中有几列同名({letters} 列),不知道取哪一列",
                        f"several columns have this name ({letters})",
                    )
                )
            else:
                near = (
                    difflib.get_close_matches(column, filter(None, rows.header.names), 1, _ALIKE) if is_header else []
                )
                faults.append(
                    self._fault(
                        column, f"表头中没有列 {column}{hint_zh(near)}", f"the header has no {column}{hint_en(near)}"
                    )
                )
        faults += [fault for column in positions for fault in self._unit_faults(column, positions[column], rows)]
        if faults:
            raise faulty_mapping(name, faults, is_of_table=any(places_of.values()))
        return positions

    def _fault(self, column: str, zh: str, en: str) -> MappingFault:
        line, key = self.key_places.get(column, KeyPlace(1, column))
        return MappingFault(line, key, zh, en)

    def _unit_faults(self, name: str, position: int, rows: Rows) -> Iterator[MappingFault]:
        column = self.columns.get(name)
        if column is None:
            return
        target = fields_of(self.event)[column.path]
        if target.kind != "integer":
            return
        stated = stated_unit(rows.header.names[position])
        if stated is None and target.is_money:
            stated = rows.header.unit
        if stated is not None and contradicts(stated, column.unit) and not _counts(stated, target):
            hint = unit_of(stated)
            zh = f"请写 {{to: {column.path}, unit: {hint}}}" if hint else "请先换算"
            en = f"write {{to: {column.path}, unit: {hint}}}" if hint else "convert the amounts first"
            yield self._fault(
                name,
                f"表上写的单位是“{stated}”,与映射不符;{zh}",
                f"the table says {stated}, the mapping does not; {en}",
            )


def _counts(stated: str, target: ReportField) -> bool:
    """Return whether what a header states is no factor: 分 of a count are points."""
    return not target.is_money and unit_of(stated) == "fen"


def columns_in(template: str) -> list[str]:
    """Return the columns that a template names, in braces."""
    return _BRACES.findall(template)


def pieces_of(template: str) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a template and the columns that it names, in their order, and whether each is a column."""
    for at, piece in enumerate(_BRACES.split(template)):
        if piece or at % 2:
            yield piece, at % 2 == 1


def faulty_mapping(name: str, faults: list[MappingFault], *, is_of_table: bool = True) -> CommandError:
    """Return the error of a mapping file, with every fault by line and key.

    `is_of_table`: whether it is one for this table at all, of which no column is known otherwise.
    """
    zh = "\n".join(f"{name}:{fault.line}: {fault.key}: {fault.zh}" for fault in sorted(faults))
    en = "\n".join(f"{name}:{fault.line}: {fault.key}: {fault.en}" for fault in sorted(faults))
    first_zh, first_en = ("映射文件有误:", "The mapping file is wrong:") if is_of_table else _OTHER_TABLE
    return CommandError(f"{first_zh}\n{zh}", f"{first_en}\n{en}", "bad-mapping")


def hint_zh(near: list[str]) -> str:
    """Return the end of a sentence that names what was meant, in Chinese."""
    return f",是 {near[0]} 吗?" if near else ""


def hint_en(near: list[str]) -> str:
    """Return the end of a sentence that names what was meant, in English."""
    return f"; did you mean {near[0]}?" if near else ""
