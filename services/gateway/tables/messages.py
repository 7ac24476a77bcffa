"""What a browser sends of a table, and what it gets back of it: every cell as it is seen, and what is wrong with it."""

from __future__ import annotations

from typing import Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, JsonValue

from client.units import Unit


class PageText(BaseModel):
    """A text in both languages."""

    zh: str
    en: str


class ColumnUse(BaseModel):
    """What fills a field: a column of the table by its header, or the same value for every row.

    `unit`: of an amount. `meanings`: which value a word in the column means, beside those that are known.
    """

    model_config = ConfigDict(extra="forbid")

    header: str | None = None
    constant: str | None = None
    unit: Unit | None = None
    meanings: dict[str, str] = {}


class DroppedTable(BaseModel):
    """A table as a browser sends it: the file, and what a person has said about it so far.

    `columns`: by the name that the type's template has for each; none at all: matched by their headers. `edits`: new
    texts of cells, by their names (B7).
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=255)
    content: Base64Bytes
    district: str = Field(pattern=r"^[0-9]{6}$")
    system: str = Field("table", pattern=r"^[A-Za-z0-9._-]{1,40}$")
    type: str | None = None
    sheet: str | None = None
    header: int | None = Field(None, ge=1, le=1000)
    hidden: Literal["include", "leave"] = "leave"
    columns: dict[str, ColumnUse] | None = None
    edits: dict[str, str] = Field({}, max_length=100_000)


class FieldValue(BaseModel):
    """A value that a field may have, and what it is called in Chinese."""

    value: str
    zh: str


class FieldColumn(BaseModel):
    """A field of the type, and what fills it; `unknown`: words of its column that mean no known value."""

    column: str
    name: PageText
    needed: bool
    hint: str
    choices: list[FieldValue]
    is_money: bool
    use: ColumnUse
    unknown: list[str] = []


class MarkedFault(BaseModel):
    """What is wrong with a cell, or with the whole row where `cell` is none; quotes nothing."""

    cell: str | None
    code: str
    zh: str
    en: str
    fix: PageText | None


class CheckedTableRow(BaseModel):
    """A row: its number, its cells as they are seen, what is wrong with it, and its report where nothing is."""

    row: int
    cells: list[str]
    faults: list[MarkedFault]
    report: dict[str, JsonValue] | None


class TableNotice(BaseModel):
    """What of the table was left out or read otherwise than it stands."""

    code: str
    count: int
    zh: str
    en: str


class TypeChoice(BaseModel):
    """A type of report, with how many of the columns that it needs were recognized."""

    type: str
    name: PageText
    matched: int
    needed: int


class CheckedTable(BaseModel):
    """A table as it was read; `question`: why it cannot be checked yet, and so no row has a report."""

    type: str | None
    types: list[TypeChoice]
    sheet: str | None
    sheets: list[str]
    header_row: int
    headers: list[str]
    columns: list[FieldColumn]
    question: PageText | None
    rows: list[CheckedTableRow]
    notices: list[TableNotice]
    right: int
    wrong: int
