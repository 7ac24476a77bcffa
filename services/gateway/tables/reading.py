"""A dropped table read and checked, in memory: which column fills what, every faulty cell, the report of every row."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson
from pydantic import JsonValue

from client.binding import BoundMapping, Draft
from client.cells import CellError, ColumnReading, text_of, value_of
from client.fields import event_of
from client.mapping import Column, RowMapping, columns_in
from client.marking import marked_bytes
from client.messages import JsonObject
from client.output import CommandError
from client.report_file import checked_row
from client.tables.content import Cell
from client.tables.files import TableOptions, is_table, table
from client.tables.package import Package
from client.tables.rows import Rows, TableRow
from client.tables.sheet import letters_of
from client.template import Template, TemplateColumn
from client.units import Unit, contradicts, stated_unit, unit_of
from client.validation import Checker, ReportFault, remedy_of
from services.gateway.tables.columns import (
    NUMBER,
    TypeGuess,
    all_names,
    best,
    guesses,
    is_needed,
    match,
    name_of,
    templates,
    title_of,
    words_of,
)
from services.gateway.tables.messages import (
    CheckedTable,
    CheckedTableRow,
    ColumnUse,
    DroppedTable,
    FieldColumn,
    FieldValue,
    MarkedFault,
    PageText,
    TableNotice,
    TypeChoice,
)
from shared.plan.model import Plan

LARGEST_FILE: Final = 20 * 1024 * 1024
_MOST_ROWS: Final = 10_000
_MOST_UNPACKED: Final = 256 * 1024 * 1024
_MOST_COLUMNS: Final = 80
_FIRST_ROWS: Final = 5  # of a table that cannot be checked yet
_MOST_WORDS: Final = 30
_SAMPLE_DISTRICT: Final = "330681"  # that stands in the templates' subjects


# What a command says about its own options, in the words of the page.
_OF_PAGE: Final[Mapping[str, tuple[str, str]]] = {
    "hidden-sheet": (
        "看得见的工作表都是空的,有内容的工作表是隐藏的。请取消隐藏、保存后再放进来。",
        "Every sheet that is seen is empty; those with rows are hidden. Unhide them, save, and drop the file again.",
    ),
    "unknown-encoding": (
        "认不出这个文件的编码。请另存为 .xlsx,或 UTF-8 编码的 CSV。",
        "The encoding of this file is not known. Save it as .xlsx, or as CSV in UTF-8.",
    ),
    "bad-mapping": (
        "列与字段对不上:请核对各列选的字段和金额单位。",
        "Columns and fields do not fit: check what each field is filled from, and the units of amounts.",
    ),
}
_FIX_OF_PAGE: Final[Mapping[str, PageText]] = {
    "id-reused": PageText(
        zh="同一编号在表中出现两次而内容不同:改正编号,或删去一行。",
        en="The same number stands twice in the table with different content: mend it, or remove a row.",
    ),
    "bad-value": PageText(
        zh="照原件改正:代码和编号按规定的格式,选项用列表中的说法。",
        en="Mend it from the original: codes and numbers in their form, choices by a word that is listed.",
    ),
    "missing-field": PageText(zh="填上这一格。", en="Fill in this cell."),
    "unit-differs": PageText(zh="整列统一用一个单位。", en="Use one unit in the whole column."),
    "ambiguous-number": PageText(zh="去掉千分位,小数点写句点。", en="Write 1234.50."),
}


def read(dropped: DroppedTable, plans: Sequence[Plan]) -> CheckedTable:
    """Read and check a table; raises CommandError, in one sentence, where it cannot be read as one."""
    if not is_table(dropped.name):
        raise CommandError("请放入表格文件(.xlsx 或 .csv)。", "Drop a table (.xlsx or .csv).")
    sheets = _guard(dropped.content)
    with _opened(dropped) as rows:
        return _Reading(dropped, rows, plans).result(sheets)


def marked(dropped: DroppedTable, plans: Sequence[Plan]) -> bytes:
    """Return a table as an .xlsx file with what was mended in it, and a note at every cell that is still faulty."""
    _guard(dropped.content)
    with _opened(dropped) as rows:
        reading = _Reading(dropped, rows, plans)
        reading.result([])
        positions = {letters_of(at) for at in range(len(rows.header.names))}
        mended = {name: text for name, text in dropped.edits.items() if name.rstrip("0123456789") in positions}
        return marked_bytes(dropped.content, rows, reading.faults, mended)


@contextlib.contextmanager
def _opened(dropped: DroppedTable) -> Iterator[Rows]:
    given = dropped.columns
    wanted = [use.header for use in given.values() if use.header] if given else all_names()
    options = TableOptions(None, dropped.sheet, dropped.header, dropped.hidden)
    try:
        with table(dropped.name, options, wanted, dropped.content) as rows:
            yield rows
    except CommandError as error:
        raise CommandError(*_OF_PAGE.get(error.code, (error.zh, error.en)), error.code) from None


def _guard(content: bytes) -> list[str]:
    """Return the names of a workbook's sheets that are seen; raises CommandError for one that would fill the memory."""
    if not content.startswith(b"PK"):
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        raise CommandError("这个工作簿已损坏,无法读完。", "This workbook is damaged and cannot be read.") from None
    if unpacked > _MOST_UNPACKED:
        raise CommandError(
            "这个工作簿展开后大得不合常理,不予读取,请分成几个文件。",
            "This workbook unpacks to an unreasonable size and is not read: split it into several files.",
        )
    with Package(content) as package:
        return [sheet.name for sheet in package.sheets if not sheet.hidden]


class _Reading:
    """One reading of a table, from its header to the last row."""

    def __init__(self, dropped: DroppedTable, rows: Rows, plans: Sequence[Plan]) -> None:
        self._dropped, self._rows, self._plans = dropped, rows, plans
        self._headers = rows.header.names
        if len(self._headers) > _MOST_COLUMNS:
            raise CommandError(f"列数超过 {_MOST_COLUMNS}。", f"There are more than {_MOST_COLUMNS} columns.")
        self._guesses = guesses(self._headers)
        self._type = dropped.type or best(self._guesses)
        if self._type is not None and self._type not in templates():
            raise CommandError("没有这种报告,或表格放不下它。", "There is no such report, or no table holds it.")
        self._template: Template | None = templates()[self._type] if self._type is not None else None
        self._uses = self._all_uses()
        self._unknown: dict[str, list[str]] = {}
        self.faults: list[ReportFault] = []
        self._ids: dict[str, int] = {}  # of the reports, with the row of each

    def result(self, sheets: list[str]) -> CheckedTable:
        """Return what was read; every row checked where it is known what fills which field."""
        question = self._question()
        rows = list(self._first_rows() if question else self._checked_rows())
        wrong = sum(bool(row.faults) for row in rows)
        notices = [
            TableNotice(code=notice.code, count=notice.count, zh=notice.zh, en=notice.en)
            for notice in self._rows.notices
            if notice.code != "sheets-not-read"  # the page has a list of them
        ]
        return CheckedTable(
            type=self._type, types=[_choice(guess) for guess in self._guesses], sheet=self._rows.source.sheet,
            sheets=sheets, header_row=self._rows.header.first, headers=self._headers,
            columns=self._columns(), question=question, rows=rows, notices=notices,
            right=sum(row.report is not None for row in rows), wrong=wrong,
        )  # fmt: skip

    @property
    def _template_columns(self) -> Sequence[TemplateColumn]:
        return self._template.columns if self._template is not None else ()

    def _all_uses(self) -> dict[str, ColumnUse]:
        """Return what fills each column of the template: as given, else by the headers."""
        given = self._dropped.columns
        if given is not None:
            return {column.header: given.get(column.header, ColumnUse()) for column in self._template_columns}
        matched = match(self._headers, self._template_columns)
        uses: dict[str, ColumnUse] = {}
        for column in self._template_columns:
            at = matched.get(column.header)
            use = ColumnUse(header=self._headers[at] if at is not None else None)
            if column.is_money and at is not None:
                use.unit = self._stated(self._headers[at])
            uses[column.header] = use
        return uses

    def _stated(self, header: str) -> Unit | None:
        stated = stated_unit(header) or self._rows.header.unit
        return unit_of(stated) if stated is not None else None

    def _question(self) -> PageText | None:
        """Return what a person must say before the rows can be checked."""
        template = self._template
        if template is None:
            return PageText(
                zh="看不出这张表报的是什么,请选择报告类型。",
                en="It cannot be told what this table reports; choose a type.",
            )
        gone = [use.header for use in self._uses.values() if use.header and not self._positions(use.header)]
        if gone:
            return PageText(
                zh=f"表头变了,没有这些列:{'、'.join(gone)};请重新选择各字段取自哪一列。",
                en=f"The header has changed and lacks: {', '.join(gone)}; choose anew what fills each field.",
            )
        missing = [
            name_of(template, column)
            for column in template.columns
            if is_needed(template, column) and not _is_filled(self._uses[column.header])
        ]
        if missing:
            return PageText(
                zh=f"这些必填字段还没有对应的列:{'、'.join(zh for zh, _ in missing)}。",
                en=f"No column fills these fields yet: {', '.join(en for _, en in missing)}.",
            )
        for column in template.columns:
            use = self._uses[column.header]
            if fault := self._fault_of(template, column, use):
                return fault
        return None

    def _positions(self, header: str) -> list[int]:
        return self._rows.header.positions(header)

    def _fault_of(self, template: Template, column: TemplateColumn, use: ColumnUse) -> PageText | None:
        zh, en = name_of(template, column)
        if use.header and len(self._positions(use.header)) > 1:
            return PageText(
                zh=f"表头中有几列都叫「{use.header}」,请改名后再放进来。",
                en=f"Several columns are called {use.header}; rename them and drop the file again.",
            )
        if any(sign in (use.header or "") + (use.constant or "") for sign in "{}"):
            return PageText(zh=f"「{zh}」中不能有花括号。", en=f"There must be no braces in {en}.")
        if column.is_money and use.header:
            stated = stated_unit(use.header) or self._rows.header.unit
            if use.unit is None:
                return PageText(
                    zh=f"请说明「{zh}」一列的单位:元、万元还是分。",
                    en=f"Say in which unit {en} is: yuan or 10,000 yuan.",
                )
            if stated is not None and contradicts(stated, use.unit):
                return PageText(
                    zh=f"「{zh}」一列在表上写的单位是“{stated}”,与所选的不同。",
                    en=f"The table says {stated} for {en}, which is not the chosen unit.",
                )
        if column.field is not None and use.constant:
            try:
                self._constant(column, use)
            except CellError as error:
                return PageText(zh=f"「{zh}」:{error.zh}", en=f"{en}: {error.en}")
        return None

    def _constant(self, column: TemplateColumn, use: ColumnUse) -> JsonValue:
        if column.field is None:
            return use.constant
        unit = (use.unit or "yuan") if column.is_money else None
        return value_of(use.constant, ColumnReading(column.field, words_of(column, use.meanings), unit))

    def _mapping(self, template: Template) -> RowMapping:
        event = event_of(template.type)
        if event is None:
            raise LookupError(template.type)
        columns: dict[str, Column] = {}
        constants: dict[str, JsonValue] = {}
        texts: dict[str, str] = {}  # what stands in a template for each of its columns
        for column in template.columns:
            use = self._uses[column.header]
            texts[column.header] = f"{{{use.header}}}" if use.header else use.constant or ""
            if column.field is not None and use.header:
                columns[use.header] = Column(column.field.path, words_of(column, use.meanings), use.unit)
            elif column.field is not None and use.constant:
                constants[column.field.path] = self._constant(column, use)
        district = self._dropped.district
        sources = {"source": f"/districts/{district}/{self._dropped.system}", "district": district}
        own = {"id": template.id, "subject": template.subject} | ({"time": template.time} if template.time else {})
        if not _is_filled(self._uses[NUMBER]):
            del own["id"]  # made of what the row says
        filled = {name: _replaced(text, texts) for name, text in own.items()}
        if f"/{_SAMPLE_DISTRICT}" in template.subject:
            filled["subject"] = filled["subject"].replace(f"/{_SAMPLE_DISTRICT}", f"/{district}")
        return RowMapping(event, template.type, columns, sources | filled, constants)

    def _checked_rows(self) -> Iterator[CheckedTableRow]:
        if self._template is None:
            return
        mapping = self._mapping(self._template)
        rows = self._rows
        bound = BoundMapping(mapping, rows, "")
        codes = {code for plan in self._plans for code in plan.district_codes}
        checker = Checker(codes, self._dropped.district, self._plans)
        edits = self._edits()
        known: dict[str | None, Mapping[str, str]] = {
            use.header: meanings
            for column in self._template_columns
            if (use := self._uses[column.header]).header and (meanings := words_of(column, use.meanings)) is not None
        }
        for count, row in enumerate(rows.rows, 1):
            if count > _MOST_ROWS:
                raise CommandError(
                    f"表中超过 {_MOST_ROWS} 行。请分成几张表,或用 skillplan 程序报送。",
                    f"There are more than {_MOST_ROWS} rows. Split the table, or use the skillplan program.",
                )
            _edit(row, edits)
            draft = bound.draft(row)
            if draft.event is not None and "id" not in mapping.templates:
                draft.event["id"] = _id_of(draft.event)
            checked = checked_row(draft, bound, rows, row.number, checker)
            self.faults += checked.faults
            faults = [_fault(fault) for fault in checked.faults]
            self._note_words(draft, row, known)
            report = None if faults else checked.event
            if report is not None and self._ids.setdefault(str(report["id"]), row.number) != row.number:
                report = None  # an earlier row says the same
            yield CheckedTableRow(row=row.number, cells=self._texts(row), faults=faults, report=report)

    def _note_words(self, draft: Draft, row: TableRow, known: Mapping[str | None, Mapping[str, str]]) -> None:
        """Note the words of columns with a list of values that mean none of them."""
        for fault in draft.faults:
            if fault.code != "bad-value" or fault.column not in known:
                continue
            at = self._rows.positions[fault.column or ""]
            word = _text(row.cells[at]) if at < len(row.cells) else ""
            unknown = self._unknown.setdefault(fault.column or "", [])
            if word and word not in known[fault.column] and word not in unknown and len(unknown) < _MOST_WORDS:
                unknown.append(word)

    def _first_rows(self) -> Iterator[CheckedTableRow]:
        for count, row in enumerate(self._rows.rows):
            if count == _FIRST_ROWS:
                return
            yield CheckedTableRow(row=row.number, cells=self._texts(row), faults=[], report=None)

    def _texts(self, row: TableRow) -> list[str]:
        width = len(self._headers)
        return [_text(cell) for cell in (*row.cells, *[None] * width)[:width]]

    def _edits(self) -> Mapping[int, Mapping[str, str]]:
        result: dict[int, dict[str, str]] = {}
        for name, text in self._dropped.edits.items():
            letters = name.rstrip("0123456789")
            if letters and name[len(letters) :]:
                result.setdefault(int(name[len(letters) :][:9]), {})[letters] = text
        return result

    def _columns(self) -> list[FieldColumn]:
        template = self._template
        if template is None:
            return []
        result = []
        for column in template.columns:
            zh, en = name_of(template, column)
            use = self._uses[column.header]
            result.append(
                FieldColumn(
                    column=column.header, name=PageText(zh=zh, en=en), needed=is_needed(template, column),
                    hint=column.hint, is_money=column.is_money, use=use,
                    choices=[FieldValue(value=value, zh=word) for word, value in column.choices.items()],
                    unknown=self._unknown.get(use.header or "", []),
                )
            )  # fmt: skip
        return result


def _choice(guess: TypeGuess) -> TypeChoice:
    zh, en = title_of(guess.type)
    return TypeChoice(type=guess.type, name=PageText(zh=zh, en=en), matched=guess.matched, needed=guess.needed)


def _is_filled(use: ColumnUse) -> bool:
    return bool(use.header or use.constant)


def _replaced(template: str, texts: Mapping[str, str]) -> str:
    for name in columns_in(template):
        template = template.replace(f"{{{name}}}", f"\x00{name}\x00")
    for name, text in texts.items():
        template = template.replace(f"\x00{name}\x00", text)
    return template


def _edit(row: TableRow, edits: Mapping[int, Mapping[str, str]]) -> None:
    """Write the new texts of a row's cells into it."""
    own = edits.get(row.number)
    if not own:
        return
    for at in range(_MOST_COLUMNS):
        if (text := own.get(letters_of(at))) is not None:
            row.cells.extend([None] * (at + 1 - len(row.cells)))
            row.cells[at] = text


def _text(cell: Cell) -> str:
    try:
        return text_of(cell)
    except CellError:
        return ""


def _fault(fault: ReportFault) -> MarkedFault:
    remedy = remedy_of(fault.code)
    fix = _FIX_OF_PAGE.get(fault.code) or (PageText(zh=remedy["zh"], en=remedy["en"]) if remedy else None)
    return MarkedFault(cell=fault.cell, code=fault.code, zh=fault.zh, en=fault.en, fix=fix)


def _id_of(event: JsonObject) -> str:
    """Return an id made of what a report says, the same whenever the same row is dropped again.

    Of a person nothing goes into it: whoever reads it could try all numbers.
    """
    data = event.get("data")
    impersonal = {name: value for name, value in data.items() if name != "person"} if isinstance(data, dict) else {}
    attributes = [event.get(name) for name in ("type", "source", "subject", "time")]
    raw = orjson.dumps([attributes, impersonal], option=orjson.OPT_SORT_KEYS)
    return f"{str(event['type']).split('.')[2]}-{hashlib.blake2b(raw, digest_size=9).hexdigest()}"
