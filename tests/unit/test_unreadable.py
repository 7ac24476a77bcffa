"""What a sender is told of bytes that are no JSON object (RULES A19)."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from client.output import Output
from client.receipts import csv_printer, line_printer
from shared.contract.cloudevents import NotReadableError, from_kafka
from shared.contract.decoder import Channel
from shared.deciding import receipts
from shared.service.command_handler import Unreadable

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (None, "no content"),
        (b"", "no content"),
        (b"\xef\xbb\xbf{}", "UTF-8 byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-be"), "UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32"),
        (b"\x00\x00\x00\x01\x02" + b'{"a": 1}', "byte 00, id 258"),
        (b"\x1f\x8b\x08\x00\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"[1, 2]", "not an object"),
        (b"<html>", "XML"),
        ('{"a": "绍兴"}'.encode("gb18030"), "not UTF-8"),
        (b"{'a': 1}", "not written as JSON"),
        (b"\x00" * 64, "not written as JSON"),
    ],
)
def test_the_sender_is_told_what_was_seen_first(raw: bytes | None, seen: str) -> None:
    with pytest.raises(NotReadableError) as error:
        from_kafka(raw, ())
    sender = Channel(district="330681", reported_by="district-330681")
    unreadable = Unreadable("recruitment.reports.330681", 2, 7, str(error.value), raw or b"", NOW, sender)
    answer = unreadable.not_understood()
    assert (answer.id, answer.source, answer.route) == (None, None, "330681")
    (reason,) = [rule.reason() for rule in answer.reasons]
    assert reason["code"] == "not-json"
    assert seen in reason["en"]
    assert reason["zh"]
    assert b'"place":"recruitment.reports.330681/2/7"' in receipts.not_decided(answer, "recruitment", NOW)


@pytest.mark.parametrize(
    "raw", [b'{"a": "\\":", "b": {"a": [{"a": 1}, {"a": 2}]}}', b'{"a":":","b\\"":1}', b'{"a"\t:\n1}', b'{"": {"": 1}}']
)
def test_names_that_recur_in_other_objects_or_in_texts_are_read(raw: bytes) -> None:
    assert from_kafka(raw, ()) == orjson.loads(raw)


@pytest.mark.parametrize(
    ("raw", "marked"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2, "a_twice": True}),
        (b'{ "a" : { "b" : [ { "c" : 1 , "c"\n: 1 } ] } }', {"a": {"b": [{"c": 1, "c_twice": True}]}}),
    ],
)
def test_a_name_that_is_there_twice_makes_one_that_no_type_knows(raw: bytes, marked: dict[str, Any]) -> None:
    assert from_kafka(raw, ()) == marked


def test_the_client_shows_a_receipt_without_an_id_and_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    sender = Channel(district="330681", reported_by="district-330681")
    answer = Unreadable("recruitment.reports.330681", 2, 7, "not-json", b"\xef\xbb\xbf{}", NOW, sender).not_understood()
    receipt = orjson.loads(receipts.not_decided(answer, "recruitment", NOW))
    line_printer(Output())(receipt)
    printed = capsys.readouterr().out
    assert "recruitment.reports.330681/2/7" in printed
    assert "[not-json]" in printed
    csv_printer()(receipt)
    assert "recruitment.reports.330681/2/7" in capsys.readouterr().out
