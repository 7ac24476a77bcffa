"""The parts of an Office Open XML workbook: sheets, strings and formats, of both namespaces (transitional, strict)."""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Final
from xml.parsers import expat

from client.output import CommandError
from client.tables.lines import CHUNK
from client.tables.number_formats import NumberFormat, built_in, number_format

Attributes = Mapping[str, str]
Start = Callable[[str, Attributes], None]

_MOST_OF_A_PART: Final = 64 * 1024 * 1024  # of what is read whole
_MOST_STRINGS: Final = 1 << 30
_MOST_SHEET: Final = 4 << 30
_MOST_RECENT: Final = 20_000
_SUSPICIOUS: Final = 64 * 1024 * 1024
_HIGHEST_RATIO: Final = 400  # sheets are compressed 10 to 60 times, one row a million times over some 300 times
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, OSError, NotImplementedError)


class _NotAWorkbookError(Exception):
    """A part that is missing, or is not what it should be."""


@contextlib.contextmanager
def damage() -> Iterator[None]:
    """Turn what goes wrong in a damaged workbook into a CommandError."""
    try:
        yield
    except (*_DAMAGED, _NotAWorkbookError, ValueError, KeyError, IndexError):
        raise CommandError("这个工作簿已损坏,无法读完。", "This workbook is damaged and cannot be read.") from None


@cache
def local(name: str) -> str:
    """Return a name without its prefix: programs differ in which they use."""
    return name.rpartition(":")[2]


def truth(text: str | None) -> bool:
    """Return whether an attribute says yes."""
    return text in ("1", "true", "on")


def unescaped(text: str) -> str:
    """Return a text with `_x000D_` and the like as the character that is meant (18.18.93)."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def parse(stream: IO[bytes], start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Read XML as a stream; `start`, `end` get names without prefix. Refuses document types: entities fill memories."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: start(local(name), attributes)
    parser.EndElementHandler = lambda name: end(local(name))
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    while chunk := stream.read(CHUNK):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


def _refuse_doctype(*_: object) -> None:
    raise _NotAWorkbookError


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A worksheet as the workbook lists it."""

    name: str
    part: str
    hidden: bool


class Strings:
    """The shared strings of a workbook, in one block of memory: hundreds of thousands of them as objects fill it."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._recent: dict[int, str] = {}

    def append(self, text: str) -> None:
        """Add the next string."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __getitem__(self, at: int) -> str:
        text = self._recent.get(at)
        if text is None:
            if at < 0 or at + 1 >= len(self._ends):
                raise IndexError(at)
            if len(self._recent) > _MOST_RECENT:
                self._recent.clear()
            text = self._bytes[self._ends[at] : self._ends[at + 1]].decode("utf-8", "replace")
            self._recent[at] = text
        return text


class Package:
    """An opened workbook (.xlsx, .xlsm)."""

    def __init__(self, path: Path | bytes) -> None:
        with damage():
            self._zip = zipfile.ZipFile(io.BytesIO(path) if isinstance(path, bytes) else path)
            # Some programs write the separators of Windows into the archive, or other capitals than they refer to.
            self._parts = {info.filename.replace("\\", "/").lower(): info for info in self._zip.infolist()}
        self.sheets: list[SheetPart] = []
        self.charts: list[str] = []
        self.from_1904 = False
        self.recalculates = False  # by the program that wrote it no formula has its value yet
        self.formats: list[NumberFormat] = []
        self.decorating: dict[bytes, NumberFormat] = {}  # styles that show a text otherwise than it stands
        self.struck: set[bytes] = set()  # styles that strike out what they show
        self.strings = Strings()

    def __enter__(self) -> Package:
        if self.has("content.xml") or self.has("xl/workbook.bin") or self.has("index/document.iwa"):
            self._zip.close()
            raise CommandError(
                "这是 .ods、.xlsb 或 .numbers 工作簿,请用制作它的软件打开,另存为 .xlsx。",
                "This is an .ods, .xlsb or .numbers workbook; open it where it was made, and save it as .xlsx.",
            )
        with damage():
            self._read_workbook()
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def has(self, part: str) -> bool:
        """Return whether there is a part of this name."""
        return part.lower() in self._parts

    @contextlib.contextmanager
    def open(self, part: str, most: int = _MOST_SHEET) -> Iterator[IO[bytes]]:
        """Open a part; raises CommandError where it is far larger than any that a person made."""
        info = self._parts.get(part.lower())
        if info is None:
            raise _NotAWorkbookError(part)
        if info.flag_bits & 1:
            raise CommandError("这个工作簿有密码,请去掉密码后另存。", "This workbook has a password; save it without.")
        bomb = info.file_size > _SUSPICIOUS and info.file_size > _HIGHEST_RATIO * max(info.compress_size, 1)
        if bomb or info.file_size > most:
            raise CommandError(
                "这个工作簿展开后大得不合常理,不予读取,请分成几个文件。",
                "This workbook unpacks to an unreasonable size and is not read: split it into several files.",
            )
        with self._zip.open(info) as stream:
            yield stream

    def _elements(self, part: str) -> list[tuple[str, Attributes]]:
        """Return all elements of a small part in their order."""
        elements: list[tuple[str, Attributes]] = []
        with self.open(part, _MOST_OF_A_PART) as stream:
            parse(stream, lambda name, attributes: elements.append((name, attributes)), _ignore, _ignore)
        return elements

    def _related(self, part: str) -> dict[str, tuple[str, str]]:
        """Return the parts that one refers to, each with the last word of its kind, by id."""
        folder, name = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(place):
            return {}
        return {
            attributes.get("Id", ""): (
                attributes.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join(folder, attributes.get("Target", "").replace("\\", "/"))).lstrip("/"),
            )
            for name, attributes in self._elements(place)
            if name == "Relationship"
        }

    def _read_workbook(self) -> None:
        book = next((part for kind, part in self._related("").values() if kind == "officeDocument"), "xl/workbook.xml")
        related = self._related(book)
        for name, attributes in self._elements(book):
            if name == "workbookPr":
                self.from_1904 = truth(attributes.get("date1904"))
            elif name == "calcPr":
                self.recalculates = truth(attributes.get("fullCalcOnLoad"))
            elif name == "sheet":
                id_ = next((value for key, value in attributes.items() if key.endswith(":id")), "")
                kind, part = related.get(id_, ("", ""))
                if kind == "worksheet" and self.has(part):
                    hidden = attributes.get("state", "visible") != "visible"
                    self.sheets.append(SheetPart(attributes.get("name", ""), part, hidden))
                else:
                    self.charts.append(attributes.get("name", ""))
        parts = {kind: part for kind, part in related.values() if self.has(part)}
        if "styles" in parts:
            self._read_formats(parts["styles"])
        if "sharedStrings" in parts:
            self._read_strings(parts["sharedStrings"])

    def format(self, style: bytes | None) -> NumberFormat:
        """Return the display format of a cell's style; General where there is none."""
        at = int(style) if style else 0
        return self.formats[at] if at < len(self.formats) else number_format("General")

    def _read_formats(self, part: str) -> None:
        codes: dict[int, str] = {}
        inside = in_fonts = False
        fonts: list[bool] = []
        for name, attributes in self._elements(part):
            in_fonts = name == "fonts" or (in_fonts and name != "fills")
            if in_fonts and name == "font":
                fonts.append(False)
            elif in_fonts and name == "strike" and fonts:
                fonts[-1] = attributes.get("val", "1") not in ("0", "false")
            if name == "numFmt" and "formatCode" in attributes and not inside:
                codes[int(attributes.get("numFmtId", "0"))] = attributes["formatCode"]
            elif name in ("cellXfs", "cellStyles", "cellStyleXfs", "dxfs"):
                inside = name != "cellStyleXfs"
            if name == "xf" and inside:
                id_ = int(attributes.get("numFmtId", "0"))
                form = number_format(codes[id_]) if id_ in codes else built_in(id_)
                style, font = str(len(self.formats)).encode(), int(attributes.get("fontId", "0"))
                self.formats.append(form)
                if form.hides_text or any(form.around):
                    self.decorating[style] = form
                if font < len(fonts) and fonts[font]:
                    self.struck.add(style)

    def _read_strings(self, part: str) -> None:
        texts: list[str] = []
        readings = 0  # how deep in a phonetic reading, which stands above the text
        inside = False

        def start(name: str, _: Attributes) -> None:
            nonlocal readings, inside
            readings += name == "rPh"
            inside = name == "t" and not readings

        def end(name: str) -> None:
            nonlocal readings, inside
            inside = False
            readings -= name == "rPh"
            if name == "si":
                self.strings.append(unescaped("".join(texts)))
                texts.clear()

        def characters(text: str) -> None:
            if inside:
                texts.append(text)

        with self.open(part, _MOST_STRINGS) as stream:
            parse(stream, start, end, characters)


def _ignore(*_: object) -> None:
    return None
