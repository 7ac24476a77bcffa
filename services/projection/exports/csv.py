"""CSV in UTF-8 with BOM, as spreadsheets open it; no text becomes a formula."""

import csv
import io
import unicodedata
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import UnionType
from typing import Final, Union, get_args, get_origin

from starlette.responses import StreamingResponse
from typing_extensions import get_type_hints, is_typeddict

Row = Mapping[str, object]
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 65_536
# Spreadsheets evaluate a cell that begins so (OWASP, CSV injection), Chinese ones the full-width signs too.
_FORMULA: Final = ("=", "+", "-", "\u2212", "@")
_INVISIBLE: Final = ("Cc", "Cf", "Zs", "Zl", "Zp")


@cache
def columns_of(shape: type) -> tuple[str, ...]:
    """Return the columns of a row: the members of its TypedDict, those of nested ones dotted.

    The same whatever the rows hold: none at all, or null where others have an object.
    """
    columns: list[str] = []
    for name, hint in get_type_hints(shape).items():
        origin: object = get_origin(hint)
        kinds = get_args(hint) if origin in (Union, UnionType) else (hint,)
        nested = next((kind for kind in kinds if is_typeddict(kind)), None)
        columns += [name] if nested is None else [f"{name}.{column}" for column in columns_of(nested)]
    return tuple(columns)


def joined_columns(outer_name: str, outer: type, inner_name: str, inner: type) -> tuple[str, ...]:
    """Return the columns of the rows of `joined`."""
    inner_members = get_type_hints(inner).keys()
    own = [
        f"{outer_name}.{column}" if member in inner_members else column
        for column in columns_of(outer)
        for member in (column.partition(".")[0],)
        if member != inner_name
    ]
    return (*own, *columns_of(inner))


def csv_response(rows: Sequence[Row], columns: Sequence[str], name: str) -> StreamingResponse:
    """Respond with rows as a file of this name."""
    return csv_file(csv_lines(rows, columns), name)


async def csv_parts(batches: AsyncIterator[Sequence[Row]], columns: Sequence[str]) -> AsyncIterator[bytes]:
    """Yield batches of rows as one CSV."""
    for part in csv_lines((), columns):
        yield part
    async for rows in batches:
        for part in csv_lines(rows, columns, with_header=False):
            yield part


def csv_file(parts: Iterator[bytes] | AsyncIterator[bytes], name: str) -> StreamingResponse:
    """Respond with CSV as a file of this name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return StreamingResponse(parts, headers=headers, media_type="text/csv")


def csv_lines(rows: Sequence[Row], columns: Sequence[str], with_header: bool = True) -> Iterator[bytes]:
    """Yield rows as CSV, nested members as dotted columns; `with_header`: after a BOM and the names of the columns."""
    flat = [dict(_flat(row)) if any(isinstance(cell, dict) for cell in row.values()) else row for row in rows]
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
            return "; ".join(" ".join(map(str, it.values())) if isinstance(it, dict) else str(it) for it in value)
        case _:
            return value
