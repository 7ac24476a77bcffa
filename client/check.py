"""Decides what can be said of a report before it is sent: everything that the door itself would say (RULES A7)."""

from __future__ import annotations

import codecs
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from client import tables
from client.forms import LANGUAGES
from client.mapping import RowMapping, by_headers, read_mapping
from client.output import CommandError, text
from services.catalogue import COUNTED
from shared.contract import remedies, rules
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import NotUnderstood, Report
from shared.plan.loading import PlanError, load_plans

# Codes of our own, of what never became a report; in the same form as docs/fixes.yaml has those of the services.
_OWN_FIXES: Final[Mapping[str, Mapping[str, str]]] = {
    "not-json": {
        "zh": "每行写一个完整的 JSON 对象;数组用 jq -c '.[]'、分行书写的用 jq -c . 转换。",
        "en": "Write one whole JSON object a line; jq -c '.[]' converts an array, jq -c . one of several lines.",
    },
    "not-utf-8": {
        "zh": "把文件另存为 UTF-8;表格请保留扩展名 .csv 或 .xlsx。",
        "en": "Save the file in UTF-8; let a table keep its .csv or .xlsx.",
    },
    "number-lost": {
        "zh": "把该列设为文本格式,按原件重新录入这一格。",
        "en": "Format the column as text and enter this cell again from the original.",
    },
    "cell-is-date": {
        "zh": "把该列设为文本格式,重新录入这一格。",
        "en": "Format the column as text and enter this cell again.",
    },
}


@dataclass(frozen=True, slots=True)
class ReportFault:
    """One thing wrong with one report of a file; nothing in it quotes what was reported."""

    line: int
    code: str
    zh: str
    en: str
    pointer: str | None = None
    cell: str | None = None
    column: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        shown = {name: value for name in ("line", "cell", "column", "pointer") if (value := getattr(self, name))}
        return {**shown, "code": self.code, "zh": self.zh, "en": self.en, "fix": remedy_of(self.code)}

    def as_text(self) -> str:
        """Return it for a person: where, what, and what to do."""
        place = [text(f"第 {self.line} 行", f"row {self.line}", " "), self.cell, self.column, self.pointer]
        shown = f"{' '.join(filter(None, place))}: {self.code}\n    {text(self.zh, self.en)}"
        fix = remedy_of(self.code)
        return shown + (f"\n    → {text(fix['zh'], fix['en'])}" if fix else "")


def remedy_of(code: str) -> Mapping[str, str] | None:
    """Return what to do about a code, in both languages; None where that is not known."""
    return _OWN_FIXES.get(code) or remedies.remedy_of(code)


@dataclass(slots=True)
class Item:
    """One report of a file, with everything that is known to be wrong with it."""

    line: int
    event: dict[str, Any] | None = None
    faults: list[ReportFault] = field(default_factory=list)


def districts_of(plans: Path) -> list[str]:
    """Return the district codes of every plan in a folder; raises Refusal."""
    try:
        return sorted({district.code for plan in load_plans(plans) for district in plan.districts})
    except PlanError as error:
        raise CommandError(f"计划文件有误:{error}", f"A plan file is wrong: {error}") from None


class Checker:
    """Says of one event after another what the door would refuse, by the published languages; sends nothing."""

    def __init__(self, codes: Collection[str], district: str | None = None) -> None:
        if district is not None and district not in codes:
            raise CommandError(f"计划中没有区划代码 {district}。", f"No plan has the district {district}.")
        # A key of the moment: what is decoded here stays here.
        keys = Keys(secrets.token_bytes(32))
        self._decoders = {language.service: Decoder(language, codes, keys, COUNTED) for language in LANGUAGES}
        self._door = Channel(district=district)
        # In a file of its own that vanishes: as many ids as there are must not fill the memory.
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("create table seen (key text primary key, digest blob, line int) without rowid")

    def faults(self, event: dict[str, Any], line: int) -> Iterator[ReportFault]:
        """Yield what is wrong with an event, and whether its id stands in the file with other content (RULES A4)."""
        type_ = event.get("type")
        service = type_.split(".")[1] if isinstance(type_, str) and type_.count(".") > 1 else ""
        decoder = self._decoders.get(service) or next(iter(self._decoders.values()))
        answer = decoder.decode(event, self._door, datetime.now(UTC))
        if isinstance(answer, NotUnderstood):
            for rule in answer.reasons:
                yield ReportFault(line, **rule.reason())
        elif (earlier := self._other_content(answer, line)) is not None:
            reason = rules.IdReused("/id").reason()
            yield ReportFault(
                line, "id-reused", f"{reason['zh']}(见第 {earlier} 行)", f"{reason['en']} (row {earlier})", "/id"
            )

    def _other_content(self, report: Report, line: int) -> int | None:
        """Return the line where this id stood first, with other content; None where it did not."""
        key = f"{report.source}\n{report.id}"
        found = self._seen.execute("select digest, line from seen where key = ?", (key,)).fetchone()
        if found is None:
            self._seen.execute("insert into seen values (?, ?, ?)", (key, report.digest, line))
            return None
        return None if found[0] == report.digest else int(found[1])


class Opened:
    """A file opened for reading its reports, whatever its form."""

    def __init__(
        self, file: str, mapping: Path | None, encoding: str | None, sheet: str | None, checker: Checker
    ) -> None:
        self._file, self._encoding, self._sheet, self._checker = file, encoding, sheet, checker
        self._name = Path(file).name
        self._mapping = read_mapping(mapping) if mapping is not None else None
        self._mapping_name = mapping.name if mapping is not None else ""
        self.progress = tables.Progress(total=tables.size_of(file))
        if self._mapping is not None and not tables.is_table(file):
            raise CommandError("映射文件只用于表格(CSV、XLSX)。", "A mapping is for tables (CSV, XLSX) only.")

    @property
    def total(self) -> int | None:
        """How far `progress` goes, where that is known beforehand: a workbook is read by rows."""
        return None if Path(self._file).suffix.lower().startswith(".xls") else self.progress.total

    def items(self) -> Iterator[Item | None]:
        """Yield each report checked; None where the sender of a pipe pauses."""
        return self._of_table() if tables.is_table(self._file) else self._of_lines()

    def _of_lines(self) -> Iterator[Item | None]:
        with tables.lines(self._file) as (lines, self.progress):
            number = 0
            for raw in lines:
                if raw is None:
                    yield None
                    continue
                number += 1
                line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                if line.strip():
                    yield self._line(line, number)

    def _line(self, raw: bytes, number: int) -> Item:
        try:
            event = orjson.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:
            return Item(
                number, None, [ReportFault(number, "not-utf-8", "这一行不是 UTF-8。", "This line is not in UTF-8.")]
            )
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            return Item(number, None, [ReportFault(number, "not-json", "不是 JSON 对象。", "This is no JSON object.")])
        return Item(number, event, list(self._checker.faults(event, number)))

    def _of_table(self) -> Iterator[Item]:
        told = self._mapping
        encoding = self._encoding or (told.encoding if told else None)
        sheet = self._sheet or (told.sheet if told else None)
        with tables.table(self._file, encoding, sheet, told.header if told else None) as rows:
            self.progress = rows.progress
            if told is not None:
                told.bind(rows, self._mapping_name)
            mapping = told or by_headers(rows, self._name)
            if mapping is None:
                raise CommandError(
                    "表头不是字段名。请用 --mapping 给出映射文件;skillplan sample <类型> --mapping 可打印一个。",
                    "The headers are no names of fields. Give a mapping file by --mapping; "
                    "`skillplan sample <type> --mapping` prints one to start from.",
                )
            for row in rows.rows:
                yield self._item(mapping, rows, row)

    def _item(self, mapping: RowMapping, rows: tables.Rows, row: tables.TableRow) -> Item:
        drafted = mapping.report(row)
        own = {fault.leaf.pointer for fault in drafted.faults}
        faults = [
            ReportFault(
                row.number, one.code, one.zh, one.en, one.leaf.pointer, rows.cell(one.column, row.number), one.column
            )
            for one in drafted.faults
        ]
        found = list(self._checker.faults(drafted.event, row.number))
        if mapping.time_from in own | {fault.pointer for fault in found}:
            own.add("/time")  # made of what is wrong itself
        for fault in found:
            if fault.pointer in own or any(place.startswith(f"{fault.pointer}/") for place in own):
                continue  # said already, and better
            column = mapping.column_at(fault.pointer or "")
            cell = rows.cell(column, row.number) if column else None
            faults.append(ReportFault(fault.line, fault.code, fault.zh, fault.en, fault.pointer, cell, column))
        return Item(row.number, drafted.event, faults)
