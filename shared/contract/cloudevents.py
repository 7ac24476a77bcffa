"""CloudEvents bindings: envelopes from HTTP requests and Kafka messages in structured, batch and binary mode."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SPACES: Final = (b"  ", b"\n", b"\t", b"\r")
_FAR_COLON: Final = re.compile(rb'"(?: [ \t\r\n]|[\t\r\n])[ \t\r\n]*:')
JsonObject = dict[str, Any]  # decoded; its values are checked where they are read


class NotReadableError(ValueError):
    """The bytes are no JSON object (of a batch: no JSON array); the message is a code, never a quotation."""


def parse_object(raw: bytes | None) -> JsonObject:
    """Return a JSON object; raises NotReadableError with `empty`, `not-json` or `not-an-object`."""
    if not raw:
        raise NotReadableError("empty")
    value = _value(raw)
    if not isinstance(value, dict):
        raise NotReadableError("not-an-object")
    return value


def parse_array(raw: bytes) -> list[Any]:
    """Return a JSON array; raises NotReadableError with `not-json` or `not-an-array`."""
    value = _value(raw)
    if not isinstance(value, list):
        raise NotReadableError("not-an-array")
    return value


def _value(raw: bytes) -> Any:
    """Return what a JSON text says; raises NotReadableError.

    Where an object has a name twice one reader takes the first and another the last (RFC 7493, 2.3): it has a name more
    then, which no type knows, so that the report is invalid and says where.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotReadableError("not-json") from None
    # Most texts have a colon behind each name, one space between at most, and behind no other quotation mark: the rest
    # is read again.
    try:
        far = any(space in raw for space in _SPACES) and _FAR_COLON.search(raw)
        if far or raw.count(b'":') + raw.count(b'" :') != _count_names(value):
            return json.loads(raw, object_pairs_hook=_marked)
    except RecursionError:
        raise NotReadableError("not-json") from None
    return value


def _count_names(value: Any) -> int:
    """Return how many names the objects of a decoded text have, which nests no deeper than its parser lets it."""
    if type(value) is dict:
        count = len(value)
        for inner in value.values():
            if type(inner) is dict or type(inner) is list:
                count += _count_names(inner)
        return count
    return sum(_count_names(inner) for inner in value) if type(value) is list else 0


def _marked(pairs: list[tuple[str, Any]]) -> JsonObject:
    marked = dict(pairs)
    if len(marked) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        marked |= {f"{name}_twice": True for name, count in counts.items() if count > 1}
    return marked


def from_kafka(value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> JsonObject:
    """Return the envelope of a Kafka message: structured, or binary with `ce_` headers (CloudEvents Kafka binding)."""
    attributes: JsonObject = {}
    trace: JsonObject = {}
    structured = False
    for name, given in headers:
        # A Kafka header may have no value at all.
        header, text = name.lower(), given or b""
        if header == "content-type":
            structured = text.lower().startswith(b"application/cloudevents")
            attributes["datacontenttype"] = _text(text)
        elif header.startswith("ce_") and given is not None:
            attributes[header[3:]] = _text(text)
        elif header == "traceparent":
            trace[header] = _text(text)  # the message's own, where the event has none
    if structured or not ("id" in attributes or "specversion" in attributes):
        return trace | parse_object(value)
    return trace | attributes | {"data": parse_object(value)}


def _text(raw: bytes) -> str | bytes:
    """Return the text, or the bytes that are none: no attribute takes them, where replaced characters might pass."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def from_http_headers(headers: Mapping[str, str], raw: bytes) -> JsonObject:
    """Return the envelope of a request in binary mode: `ce-` headers (CloudEvents HTTP binding, RULES A21)."""
    attributes: JsonObject = {
        name[3:].lower(): _text(unquote_to_bytes(_unquoted(text.encode("latin-1"))))
        for name, text in headers.items()
        if name.lower().startswith("ce-")
    }
    return attributes | {"datacontenttype": headers.get("content-type"), "data": parse_object(raw)}


def _unquoted(value: bytes) -> bytes:
    """Return what a quoted header value says (RFC 9110, section 5.6.4), any other as it stands."""
    quoted = _QUOTED.fullmatch(value)
    return re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL) if quoted else value
