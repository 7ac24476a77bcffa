"""Records whatever their headers are called.

In aiokafka 0.14 a header's name that is no UTF-8 raises in the midst of a batch, again after every start: one message
stops a partition for good. No issue is known upstream.
"""

from typing import Any

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy


def records_of(raw: memoryview) -> list[Any]:
    """Return the records of a batch; what is no UTF-8 in a header's name is shown as escapes."""
    try:
        return list(DefaultRecordBatch(raw))
    except (UnicodeDecodeError, CorruptRecordException):
        plain = _DefaultRecordBatchPy(raw)
        plain._maybe_uncompress()
        plain._buffer = _Lenient(plain._buffer)
        return list(plain)


class _Lenient(bytearray):
    """Bytes that show what is no UTF-8 as escapes."""

    def __getitem__(self, at: Any) -> Any:
        value = super().__getitem__(at)
        return _Lenient(value) if isinstance(at, slice) else value

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace" if errors == "strict" else errors)
