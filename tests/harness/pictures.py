"""Reads the QR codes of pictures as a telephone does."""

import struct
import zlib
from collections.abc import Iterator

import typst
import zxingcpp


def codes_in_png(content: bytes) -> list[str]:
    """Return what the QR codes of a PNG say."""
    width, height, pixels = _grey(content)
    barcodes = zxingcpp.read_barcodes(memoryview(pixels).cast("B", (height, width)))
    return [code.text for code in barcodes]


def code_in_svg(picture: str) -> str:
    """Return what the one QR code of an SVG says."""
    page = '#set page(width: 12cm, height: 12cm)\n#image(bytes(sys.inputs.svg), format: "svg", width: 8cm)'
    drawn = typst.compile(page.encode(), format="png", sys_inputs={"svg": picture})
    assert isinstance(drawn, bytes)
    (text,) = codes_in_png(drawn)
    return text


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        at += size + 12


def _grey(content: bytes) -> tuple[int, int, bytes]:
    """Return width, height and a byte a pixel, that of its first channel; of pictures without a palette."""
    chunks = [*_chunks(content)]
    width, height, depth, kind = struct.unpack_from(">IIBB", dict(chunks)[b"IHDR"])
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    size = -(-width * depth * channels // 8)
    raw = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    row, rows = bytes(-(-size // channels)), []
    for at in range(0, height * (size + 1), size + 1):
        row = _unfiltered(raw[at], raw[at + 1 : at + 1 + size : channels], row)
        if depth == 1:
            rows.append(bytes(255 * (byte >> bit & 1) for byte in row for bit in range(7, -1, -1))[:width])
        else:
            rows.append(row)
    return width, height, b"".join(rows)


def _unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    """Return a row by what is stored of it and the one above (PNG, 9.2)."""
    if kind == 0:
        return row
    if kind in (2, 4) and not any(row) and (kind == 2 or len(set(above)) == 1):
        return above
    done, left, corner = bytearray(), 0, 0
    for stored, up in zip(row, above, strict=True):
        if kind == 4:
            guess = left + up - corner
            to_left, to_up, to_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
            by = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
        else:
            by = (0, left, up, (left + up) // 2)[kind]
        left, corner = (stored + by) % 256, up
        done.append(left)
    return bytes(done)
