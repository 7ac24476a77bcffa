"""What a rebuild would change, for people: lines for a terminal, and a page; as JSON it is what it is."""

from pathlib import Path
from typing import Final

import orjson

from services.projection.counting.difference import ChangedCell, Difference
from services.projection.exports.filling import filled

_LINES: Final = 40
_FILE: Final = "difference"


def written(difference: Difference | None, folder: Path | None) -> str:
    """Write a report into a folder, where there is one, and return what a terminal shows of it."""
    if difference is None:
        return "尚无数据,没有可比较的 no numbers yet, nothing to compare with"
    lines = [*_summary(difference), *map(_line, difference["cells"][:_LINES])]
    if len(difference["cells"]) > _LINES:
        lines.append(f"… 共 {len(difference['cells'])} 格 cells in all")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{_FILE}.json").write_bytes(orjson.dumps(difference, option=orjson.OPT_INDENT_2) + b"\n")
        (folder / f"{_FILE}.html").write_text(filled("difference.html", difference=difference), encoding="utf-8")
        lines.append(f"报告 report: {folder / _FILE}.json, .html")
    return "\n".join(lines)


def _summary(difference: Difference) -> list[str]:
    return [
        f"新的一代 {difference['beside']} 与在用的 {difference['read']} 并存;读数照旧。"
        f" Generation {difference['beside']} stands beside {difference['read']}, which is read as before.",
        f"{len(difference['cells'])} 格不同,因 {difference['facts']} 件事实。"
        f" {len(difference['cells'])} cells differ, because of {difference['facts']} facts.",
        f"采用 accept: make rebuild ACCEPT={difference['code']}; 放弃 let it go: make rebuild BACK=1",
    ]


def _line(cell: ChangedCell) -> str:
    because = ", ".join(f"{fact['service']}:{fact['position']}" for fact in cell["because"][:3])
    period = cell["period"] or "plan"
    return (
        f"  {cell['plan']} {cell['indicator']} {period} {cell['district']} {cell['side']}: {cell['before']} → "
        f"{cell['after']} ({cell['after'] - cell['before']:+}), {cell['facts']}: {because}"
        + (", …" if cell["facts"] > len(cell["because"][:3]) else "")
    )
