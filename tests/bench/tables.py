"""A district's table: every row read, mapped and checked as the service would, beside decoding the same reports."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path

import orjson

from client.report_file import ReportFile
from client.validation import Checker
from shared.contract.decoder import Channel
from tests.bench import feed
from tests.bench.hops import Sizes
from tests.bench.meter import SELF, Meter, Section
from tests.bench.report import BenchRow
from tests.harness.bench import BenchServers
from tests.harness.languages import DISTRICTS, RECEIVED, decoder
from tests.harness.people import name_of, number_of, phone_of

_MAPPING = """\
type: skillplan.recruitment.person-hired.v1
source: /districts/330681/employment
id: "hire-{合同编号}"
subject: "hire/{合同编号}"
columns:
  姓名: data.person.name
  身份证号: data.person.id_number
  联系电话: data.person.phone
  用人单位: data.enterprise.name
  统一社会信用代码: data.enterprise.credit_code
  渠道: {to: data.channel, values: {金蓝领招引: gold-blue-collar}}
  职业编码: data.occupation_code
  技能等级: {to: data.level, values: {高级工: "3"}}
  录用日期: data.hired_on
"""
_HEADS = (
    "合同编号", "姓名", "身份证号", "联系电话", "用人单位", "统一社会信用代码", "渠道",
    "职业编码", "技能等级", "录用日期",
)  # fmt: skip


def measure_tables(_: BenchServers, sizes: Sizes) -> list[BenchRow]:
    """Validate a table of hires as `skillplan validate` does."""
    note = "one process; floor: the decoder alone, reports in memory"
    row = BenchRow("0 validate, a table of hires", "rows", note=note, aim=None)
    with tempfile.TemporaryDirectory() as folder:
        table, mapping = Path(folder, "hires.csv"), Path(folder, "hires.yaml")
        mapping.write_text(_MAPPING, encoding="utf-8")
        _write(table, sizes.replay)
        for _round in range(sizes.rounds):
            meter = Meter({SELF: os.getpid()})
            reports = ReportFile(str(table), mapping, None, None, Checker(DISTRICTS)).reports()
            right = sum(report is not None and not report.faults for report in reports)
            row.ours.append(meter.section(right))
            row.floor.append(_decoded(sizes.replay))
    return [row]


def _write(file: Path, count: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(_HEADS)
        for index in range(count):
            event = orjson.loads(feed.hire(index, "t"))["data"]
            out.writerow(
                [
                    f"t-{index}", name_of(index), number_of(index), phone_of(index), event["enterprise"]["name"],
                    event["enterprise"]["credit_code"], "金蓝领招引", event["occupation_code"], "高级工",
                    event["hired_on"],
                ]
            )  # fmt: skip


def _decoded(count: int) -> Section:
    decoding, channel = decoder(feed.SERVICE), Channel()
    section = Section(cpu={SELF: 0.0})
    for first in range(0, count, 1_000):
        events = orjson.loads(feed.batch(first, min(1_000, count - first), "t"))
        meter = Meter({SELF: os.getpid()})
        for event in events:
            decoding.decode(event, channel, RECEIVED)
        part = meter.section(len(events))
        section = Section(
            section.count + part.count, section.seconds + part.seconds, {SELF: section.cpu[SELF] + part.cpu[SELF]}
        )
    return section
