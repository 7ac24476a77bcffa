"""What the CloudEvents SDK sends, structured or binary, over HTTP or Kafka, is understood as it was meant."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http, kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared.contract.cloudevents import from_http_headers, from_kafka, parse_array, parse_object
from shared.contract.events import Fact, Report
from tests.harness.languages import faults, sample, understood

SENT = [("recruitment", "person-hired"), ("competition", "certificate-issued"), ("enrollment", "intake-reported")]
every_sample = pytest.mark.parametrize(("service", "name"), SENT)


def event(service: str, name: str) -> CloudEvent:
    attributes = sample(service, name)
    data = attributes.pop("data")
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    attributes["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    return CloudEvent(attributes, data)


def same(service: str, name: str, envelope: dict[str, Any]) -> None:
    """Check that the report is the sample's: the same content, the same words."""
    received, stored = understood(service, envelope), understood(service, sample(service, name))
    assert received.digest == stored.digest
    assert (received.id, received.source, received.type) == (stored.id, stored.source, stored.type)
    assert received.personal == stored.personal
    assert received.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@every_sample
def test_structured_over_http(service: str, name: str) -> None:
    message = http.to_structured(event(service, name), JSONFormat())
    assert message.headers["content-type"] == "application/cloudevents+json"
    same(service, name, parse_object(message.body))


@every_sample
def test_binary_over_http(service: str, name: str) -> None:
    message = http.to_binary(event(service, name), JSONFormat())
    same(service, name, from_http_headers(message.headers, message.body))


@every_sample
def test_structured_over_kafka(service: str, name: str) -> None:
    message = kafka.to_structured(event(service, name), JSONFormat())
    same(service, name, from_kafka(message.value, list(message.headers.items())))


@every_sample
def test_binary_over_kafka(service: str, name: str) -> None:
    message = kafka.to_binary(event(service, name), JSONFormat())
    assert any(header.startswith("ce_") for header in message.headers)
    same(service, name, from_kafka(message.value, list(message.headers.items())))


def test_a_batch_over_http() -> None:
    whole = b"[" + b",".join(http.to_structured(event(*sent), JSONFormat()).body for sent in SENT) + b"]"
    for (service, name), envelope in zip(SENT, parse_array(whole), strict=True):
        same(service, name, envelope)


def test_a_source_with_percent_signs_is_decoded_from_its_header() -> None:
    message = http.to_binary(event("recruitment", "person-hired"), JSONFormat())
    headers = message.headers | {"ce-source": "/districts/330681/%73ample"}
    same("recruitment", "person-hired", from_http_headers(headers, message.body))


def test_a_kafka_header_without_a_value_is_an_empty_one() -> None:
    message = kafka.to_structured(event("recruitment", "person-hired"), JSONFormat())
    same("recruitment", "person-hired", from_kafka(message.value, [("x-trace", None), ("content-type", None)]))
    binary = kafka.to_binary(event("recruitment", "person-hired"), JSONFormat())
    headers = list((binary.headers | {"ce_id": b""}).items())
    assert faults("recruitment", from_kafka(binary.value, headers)) == {("bad-attribute", "/id")}


def test_the_sdk_reads_our_facts() -> None:
    report: Report = understood("recruitment", sample("recruitment", "person-hired"))
    at = datetime(2024, 5, 6, 1, 2, 3, 4, tzinfo=UTC)
    fact = Fact(
        service="recruitment",
        position=7,
        version=1,
        id="01900000-0000-7000-8000-000000000000",
        type=report.type,
        stream=report.subject,
        district=report.district,
        at=report.at,
        time=report.time,
        recorded_at=at,
        report_source=report.source,
        report_id=report.id,
        event=report.event,
        body=report.body,
        correlation_id="c",
        causation_id=report.id,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    headers = {"content-type": b"application/cloudevents+json"}
    read = kafka.from_kafka(kafka.KafkaMessage(headers=headers, key=None, value=fact.encode()), JSONFormat())
    attributes = read.get_attributes()
    assert set(attributes) == {
        *("specversion", "id", "source", "type", "subject", "time", "district", "position", "version", "recordedat"),
        *("reportsource", "reportid", "correlationid", "causationid", "traceparent", "datacontenttype"),
    }
    assert (attributes["source"], attributes["position"], attributes["version"]) == ("/services/recruitment", 7, 1)
    assert (attributes["type"], attributes["subject"]) == (report.type, report.subject)
    assert (attributes["reportsource"], attributes["reportid"]) == (report.source, report.id)
    assert attributes["recordedat"] == "2024-05-06T01:02:03.000004Z"
    assert read.get_data() == report.body
