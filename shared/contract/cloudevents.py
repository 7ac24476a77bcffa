"""CloudEvents bindings: envelopes from HTTP requests and Kafka messages in structured, batch and binary mode."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
JsonObject = dict[str, Any]  # decoded; its values are checked where they are read


class NotReadableError(ValueError):
    """The bytes are no JSON object (of a batch: no JSON array); the message is a code, never a quotation."""


def parse_object(raw: bytes | None) -> JsonObject:
    """Return a JSON object; raises NotReadableError with `empty`, `not-json` or `not-an-object`."""
    if not raw:
        raise NotReadableError("empty")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotReadableError("not-json") from None
    if not isinstance(value, dict):
        raise NotReadableError("not-an-object")
    return value


def parse_array(raw: bytes) -> list[Any]:
    """Return a JSON array; raises NotReadableError with `not-json` or `not-an-array`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotReadableError("not-json") from None
    if not isinstance(value, list):
        raise NotReadableError("not-an-array")
    return value


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
