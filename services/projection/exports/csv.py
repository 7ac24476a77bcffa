"""CSV in UTF-8 with BOM, as spreadsheets open it; no text becomes a formula."""

import csv
import io
import unicodedata
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from starlette.responses import StreamingResponse

Row = Mapping[str, object]
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 65_536
# Spreadsheets evaluate a cell that begins so (OWASP, CSV injection), Chinese ones the full-width signs too.
_FORMULA: Final = ("=", "+", "-", "\u2212", "@")
_INVISIBLE: Final = ("Cc", "Cf", "Zs", "Zl", "Zp")


def csv_response(rows: Sequence[Row], name: str) -> StreamingResponse:
    """Respond with rows as a file of this name."""
    return csv_file(csv_lines(rows), name)


async def csv_parts(batches: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    """Yield batches of rows as one CSV; every batch has the same columns."""
    first = True
    async for rows in batches:
        for part in csv_lines(rows, with_header=first):
            yield part
        first = False
    if first:
        yield _BOM


def csv_file(parts: Iterator[bytes] | AsyncIterator[bytes], name: str) -> StreamingResponse:
    """Respond with CSV as a file of this name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return StreamingResponse(parts, headers=headers, media_type="text/csv")


def csv_lines(rows: Sequence[Row], with_header: bool = True) -> Iterator[bytes]:
    """Yield rows as CSV, nested members as dotted columns; `with_header`: after a BOM and the names of the columns."""
    flat = [dict(_flat(row)) if any(isinstance(cell, dict) for cell in row.values()) else row for row in rows]
    columns = list(dict.fromkeys(chain.from_iterable(flat)))
    # A member that is null in one row and an object in another is not a column of its own.
    columns = [name for name in columns if not any(other.startswith(f"{name}.") for other in columns)]
    out = io.StringIO()
    writer = csv.writer(out)
    if with_header:
        yield _BOM
        writer.writerow(columns)
    for row in flat:
        writer.writerow([_cell(row.get(column)) for column in columns])
        if out.tell() > _CHUNK:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def joined(outer_name: str, outer: Row, inner_name: str, inner: Row) -> Row:
    """Return one row of an object and one of the objects it holds; what both name is qualified by the outer's name."""
    own = {f"{outer_name}.{name}" if name in inner else name: outer[name] for name in outer if name != inner_name}
    return {**own, **inner}


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@lru_cache(4096)  # a file says the same of many rows
def _is_formula(text: str) -> bool:
    """Tell whether a cell of this text may be evaluated: for its first visible sign, in whatever width."""
    if text[:1].isalnum():
        return False
    first = next((sign for sign in text if unicodedata.category(sign) not in _INVISIBLE), "")
    return text[:1] in ("\t", "\r", "\n") or unicodedata.normalize("NFKC", first).startswith(_FORMULA)


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value if _is_formula(value) else value
        case list():
            return "; ".join(map(str, value))
        case _:
            return value
