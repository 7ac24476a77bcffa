"""The header of a table: found below title rows, of up to three rows, with the unit that a title states."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from client.tables.content import Cell, Merged, Number, is_empty, plain_text
from client.tables.names import plain
from client.tables.source import SourceRow
from client.units import stated_unit, unit_of

FIRST_ROWS: Final = 30  # where a header is looked for
_MOST_ROWS: Final = 3  # of one header
_UNIT: Final = re.compile(r"单位:\s*(?:人民币)?\s*([一-鿿%]+)")


@dataclass(slots=True)
class Header:
    """The names of the columns by position, empty where there is none."""

    names: list[str]
    first: int  # number of its first and last row
    last: int
    rows: int  # how many of the rows that were looked through it and the titles take
    unit: str | None = None  # that a title row states for all amounts
    titles: list[int] = field(default_factory=list)  # numbers of filled rows above
    aliases: dict[str, list[int]] = field(default_factory=dict)  # compared name → positions

    def positions(self, column: str) -> list[int]:
        """Return the positions of the columns that a mapping's name may mean: one, none, or several alike."""
        exact = [at for at, name in enumerate(self.names) if name == column]
        return exact if len(exact) == 1 else self.aliases.get(plain(column), [])


def find_header(rows: Sequence[SourceRow], wanted: Collection[str], number: int | None) -> Header | None:
    """Return the header among the first rows: the row, or the two or three rows, with every wanted column.

    Where none has them all, that with most of them; `number` names the row. None where there is no filled row.
    """
    filled = [at for at, row in enumerate(rows) if any(not is_empty(cell) for cell in row.cells)]
    if number is not None:
        filled = [at for at in filled if rows[at].number == number]
    best: tuple[int, Header] | None = None
    for height in range(1, _MOST_ROWS + 1):
        for at in filled:
            if at + height > len(rows):
                break
            header = _header(rows, at, height)
            score = sum(bool(header.positions(column)) for column in wanted)
            if best is None or score > best[0]:
                best = score, header
            if score == len(wanted):
                return header
    return best[1] if best else None


def _header(rows: Sequence[SourceRow], at: int, height: int) -> Header:
    parts = rows[at : at + height]
    width = max(len(row.cells) for row in parts)
    names: list[str] = []
    aliases: dict[str, list[int]] = {}
    for column in range(width):
        steps: list[str] = []
        for row in parts:
            text = _name(row.cells[column]) if column < len(row.cells) else ""
            if text and (not steps or steps[-1] != text):
                steps.append(text)
        names.append(steps[-1] if steps else "")
        # 单位信息 above 名称: the lower name where it is clear, else both, however they are joined.
        joined = "".join(map(plain, steps))
        for alias in dict.fromkeys((plain(names[-1]), joined, *(sign.join(map(plain, steps)) for sign in "/-_·.:"))):
            if alias:
                aliases.setdefault(alias, []).append(column)
    for column, name in enumerate(names):
        if height > 1 and name and names.count(name) > 1:
            steps = [_name(row.cells[column]) for row in parts if column < len(row.cells)]
            names[column] = "/".join(dict.fromkeys(filter(None, steps)))
    above = [row for row in rows[:at] if any(not is_empty(cell) for cell in row.cells)]
    return Header(
        names,
        parts[0].number,
        parts[-1].number,
        at + height,
        _stated_unit(above),
        [row.number for row in above],
        aliases,
    )


def _name(cell: Cell) -> str:
    if isinstance(cell, Merged):
        cell = cell.value
    if isinstance(cell, Number):
        return cell.form.render(cell.value) or ""
    return " ".join(plain_text(cell).split())


def _stated_unit(rows: Sequence[SourceRow]) -> str | None:
    for row in rows:
        for cell in row.cells:
            if is_empty(cell):
                continue
            text = plain_text(cell)
            if match := _UNIT.search(unicodedata.normalize("NFKC", text)):
                return match[1]
            if (stated := stated_unit(text)) and unit_of(stated):
                return stated
    return None
