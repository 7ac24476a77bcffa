"""Validates a report before it is sent, by the published languages, as the service itself would (RULES A7)."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from client.fields import LANGUAGES
from client.messages import JsonObject
from client.output import CommandError, text
from client.terms import place_name
from services.catalogue import COUNTED
from shared.contract import remedies, rules
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import NotUnderstood, Report
from shared.plan.loading import PlanError, load_plans
from shared.plan.model import Plan, former_codes

_BITS: Final = 1 << 26
_MOST_PENDING: Final = 10_000
# For codes of this program, in the form that docs/fixes.yaml has for those of the services.
_REMEDIES: Final[Mapping[str, Mapping[str, str]]] = {
    "not-json": {
        "zh": "每行写一个完整的 JSON 对象;数组用 jq -c '.[]'、分行书写的用 jq -c . 转换。",
        "en": "Write one whole JSON object a line; jq -c '.[]' converts an array, jq -c . one of several lines.",
    },
    "not-utf-8": {
        "zh": "把文件另存为 UTF-8;表格请保留扩展名 .csv 或 .xlsx。",
        "en": "Save the file in UTF-8; let a table keep its .csv or .xlsx.",
    },
    "id-reused": {
        "zh": "要改已受理的报告,用 skillplan correct <行号> --file <文件>;确是另一件事,换一个新编号。",
        "en": "To put an accepted report right: skillplan correct <row> --file <file>; another thing takes a new id.",
    },
    "same-content": {
        "zh": "若是同一件事报了两次,用 skillplan retract <编号> 撤回多余的一份;确是两件事则不必处理。",
        "en": "If the same thing was reported twice, take one back by skillplan retract <id>; if it is two, leave it.",
    },
    "cannot-be-sent": {
        "zh": "改正这一行,再运行同一命令。",
        "en": "Mend this line and run the same command again.",
    },
    "number-lost": {
        "zh": "把该列设为文本格式,按原件重新录入这一格。",
        "en": "Format the column as text and enter this cell again from the original.",
    },
    "cell-error": {
        "zh": "改正公式或加宽该列,重新保存。",
        "en": "Mend the formula or widen the column, and save again.",
    },
    "formula-without-value": {
        "zh": "用 Excel 或 WPS 打开文件并保存一次。",
        "en": "Open the file in Excel or WPS and save it once.",
    },
    "volatile-formula": {
        "zh": "把该列复制后“选择性粘贴”为数值,核对后保存。",
        "en": "Copy the column and paste it as values, check them and save.",
    },
    "date-out-of-range": {
        "zh": "重新录入这个日期。",
        "en": "Enter the date again.",
    },
    "merged-cells": {
        "zh": "取消合并,逐格填写。",
        "en": "Unmerge the cells and fill in each.",
    },
    "merged-amount": {
        "zh": "取消合并,逐行填写。",
        "en": "Unmerge the cells and fill in each row.",
    },
    "damaged-text": {
        "zh": "重新录入这一格,另存文件。",
        "en": "Enter the cell again and save the file anew.",
    },
    "format-unclear": {
        "zh": "把该列设为“常规”或“文本”格式,核对后保存。",
        "en": "Format the column as General or text, check it and save.",
    },
    "shown-otherwise": {
        "zh": "把格内的数改成要报的数。",
        "en": "Enter the number that is meant.",
    },
    "unit-differs": {
        "zh": "整列统一用一个单位,与映射文件中的 unit 相同。",
        "en": "Use one unit in the whole column, that of the mapping.",
    },
    "ambiguous-number": {
        "zh": "去掉千分位,小数点写句点;或在映射文件中写明 decimal。",
        "en": "Write 1234.50, or say decimal in the mapping file.",
    },
    "other-width": {
        "zh": "多半是金额里的逗号没有加引号,或缺了一格;改正这一行。",
        "en": "Most likely a comma in an amount without quotes, or a missing cell; mend the row.",
    },
    "joined-rows": {
        "zh": "检查这一行里没有成对的引号。",
        "en": "Look for an unpaired quote in this row.",
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

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        place = {"line": self.line, "cell": self.cell, "column": self.column, "pointer": self.pointer}
        known = {name: value for name, value in place.items() if value}
        return {**known, "code": self.code, "zh": self.zh, "en": self.en, "fix": remedy_of(self.code)}

    def as_text(self) -> str:
        """Return it for a person: where, what, what to do, and the code last."""
        remedy = remedy_of(self.code) or {"zh": "", "en": ""}
        zh, en = place_name(self.pointer) if self.pointer else ("", "")
        if self.column and self.column != (self.pointer or "").strip("/").replace("/", "."):
            zh = en = self.column
        cell_zh, cell_en = (f"({self.cell})", f" ({self.cell})") if self.cell else ("", "")
        about_zh, about_en = f"「{zh}」" if zh else "", f' "{en}"' if en else ""
        fix_zh, fix_en = (f"→ {remedy[name]}" if remedy[name] else "" for name in ("zh", "en"))
        return text(
            f"第 {self.line} 行{about_zh}{cell_zh}:{self.zh}\n    {fix_zh}[{self.code}]",
            f"row {self.line}{about_en}{cell_en}: {self.en}\n    {fix_en} [{self.code}]",
            "\n",
        )


def remedy_of(code: str) -> Mapping[str, str] | None:
    """Return what to do about a code, in both languages; None where nothing is written."""
    return _REMEDIES.get(code) or remedies.remedy_of(code)


def districts_of(plans: Path) -> list[str]:
    """Return the codes that the districts of every plan in a folder have and had; raises CommandError."""
    return sorted({code for plan in plans_of(plans) for code in (*plan.district_codes, *plan.former_codes)})


def plans_of(folder: Path) -> tuple[Plan, ...]:
    """Return the plans of a folder; raises CommandError where a file is wrong."""
    try:
        return load_plans(folder)
    except PlanError as error:
        raise CommandError(f"计划文件有误:{error}", f"A plan file is wrong: {error}") from None


class _PassingKeys(Keys):
    """Keys of the moment: what is decoded here is stored nowhere, so a hash that is five times as fast will do."""

    def token(self, normalised: str) -> str:
        """Return what stands for an identity number in this run."""
        return hashlib.blake2b(normalised.encode(), key=self.shared, digest_size=16).hexdigest()

    def digest(self, content: bytes) -> bytes:
        """Return what a content is compared by in this run."""
        return hashlib.blake2b(content, key=self.shared, digest_size=16).digest()


class Checker:
    """Finds in one report after another of a file what a service would reject; sends nothing."""

    def __init__(self, codes: Collection[str], district: str | None = None, plans: Sequence[Plan] = ()) -> None:
        """`plans`: by which credit codes are listed, and former codes of districts taken (RULES A24, E28)."""
        former, listed = former_codes(plans), {listed.code for plan in plans for listed in plan.credit_codes}
        if district is not None and district not in {*codes, *former}:
            raise CommandError(f"计划中没有区划代码 {district}。", f"No plan has the district {district}.")
        keys = _PassingKeys(secrets.token_bytes(32))
        self._decoders = {
            language.service: Decoder(language, codes, keys, COUNTED, listed, former) for language in LANGUAGES
        }
        self._channel = Channel(district=district)
        # In a temporary file, not in memory: a file may hold any number of ids. Which ids may stand there is told by
        # bits first (a Bloom filter of one hash): an id that comes for the first time, as nearly all do, asks no file.
        self._bits = bytearray(_BITS // 8)
        self._pending: list[tuple[bytes, bytes, int]] = []
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("pragma synchronous = off")
        self._seen.execute("pragma journal_mode = off")
        self.repeats = False  # whether the last report stood in the file before, with the same content
        self._seen.execute("begin")
        self._seen.execute("create table seen (key blob primary key, digest blob, line int) without rowid")

    @classmethod
    def by_plans(cls, folder: Path, district: str | None = None) -> Checker:
        """Return a checker by the plans in a folder; raises CommandError."""
        plans = plans_of(folder)
        return cls({code for plan in plans for code in plan.district_codes}, district, plans)

    def faults(self, event: JsonObject, line: int) -> Iterator[ReportFault]:
        """Yield what is wrong with a report, and whether its id stands in the file with other content (RULES A4)."""
        self.repeats = False
        type_ = event.get("type")
        service = type_.split(".")[1] if isinstance(type_, str) and type_.count(".") > 1 else ""
        decoder = self._decoders.get(service) or next(iter(self._decoders.values()))
        result = decoder.decode(event, self._channel, datetime.now(UTC))
        if isinstance(result, NotUnderstood):
            for rule in result.reasons:
                yield ReportFault(line, **rule.reason())
        elif (ahead := result.ahead_of_time) is not None:
            yield ReportFault(line, **rules.InTheFuture(ahead).reason())
        elif (earlier := self._line_of_other_content(result, line)) is not None:
            reason = rules.IdReused("/id").reason()
            yield ReportFault(
                line, "id-reused", f"{reason['zh']}(见第 {earlier} 行)", f"{reason['en']} (row {earlier})", "/id"
            )

    def _line_of_other_content(self, report: Report, line: int) -> int | None:
        """Return the line where this id stood first, with other content; None where there is none."""
        key = hashlib.blake2b(f"{report.source}\n{report.id}".encode(), digest_size=16).digest()
        place, bit = divmod(int.from_bytes(key[:4]) % _BITS, 8)
        if self._bits[place] >> bit & 1:
            self._write_pending()
            row = self._seen.execute("select digest, line from seen where key = ?", (key,)).fetchone()
            if row is not None:
                digest, earlier = row
                self.repeats = digest == report.digest and earlier != line
                return None if digest == report.digest else int(earlier)
        self._bits[place] |= 1 << bit
        self._pending.append((key, report.digest, line))
        if len(self._pending) == _MOST_PENDING:
            self._write_pending()
        return None

    def _write_pending(self) -> None:
        self._seen.executemany("insert into seen values (?, ?, ?)", self._pending)
        self._pending.clear()
