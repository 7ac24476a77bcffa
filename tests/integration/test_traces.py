"""One report's road is one trace: a real collector's door gets a span of every hop, and headers carry it on."""

from __future__ import annotations

import gzip
import json
import secrets
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.observability import tracing
from shared.observability.health import Health
from shared.observability.metrics import Metrics, NotWell, Reading, Since
from tests.conftest import ROOT
from tests.harness.processes import System, eventually
from tests.harness.reports import person_hired
from tests.harness.topics import OutgoingMessage, publish, structured, whole

pytestmark = pytest.mark.waits

HOPS: Final = {"door", "decide", "append", "relay", "project"}


def traceparent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Receive OTLP over HTTP as a collector does; yields its address and the spans so far, by trace."""
    spans: dict[str, list[Any]] = defaultdict(list)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans[span.trace_id.hex()].append(span)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def test_a_report_is_one_trace_from_its_door_to_the_numbers(system: System) -> None:
    by_header, by_extension, by_kafka = traceparent(), traceparent(), traceparent()
    with collector() as (address, spans):
        for service, command in (("recruitment", "api"), ("recruitment", "worker"), ("projection", "projector")):
            settings = {"SKILLPLAN_OTLP": address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
            system.process(service, command, **settings).start(wait=False)
        for process in system.processes:
            process.wait_ready()
        api = system.the("recruitment", "api").http
        answer = api.post("/v1/events", json=person_hired("t1"), headers={"traceparent": by_header})
        assert (answer.status_code, answer.headers["traceparent"]) == (200, by_header)
        own = person_hired("t2") | {"traceparent": by_extension}
        assert api.post("/v1/events", json=own, headers={"traceparent": by_header}).status_code == 200
        kafka = structured(person_hired("t3"))
        headers = (*kafka.headers, ("traceparent", by_kafka.encode()))
        publish(system.kafka, [OutgoingMessage(kafka.topic, kafka.key, kafka.value, headers)])
        assert api.post("/v1/events", json=person_hired("t4")).status_code == 200
        for sent in (by_header, by_extension, by_kafka):
            eventually(lambda sent=sent: {span.name for span in spans[sent[3:35]]} >= HOPS)  # type: ignore[misc]
            assert {span.parent_span_id.hex() for span in spans[sent[3:35]]} == {sent[36:52]}
        facts = {stored.json["reportid"]: stored for stored in whole(system.kafka, "recruitment.events")}
        # Whoever sends none gets a trace here, as somebody wants to see it.
        begun = facts[person_hired("t4")["id"]].json["traceparent"]
        eventually(lambda: {span.name for span in spans[begun[3:35]]} >= HOPS)
    traceparents = [stored.json["traceparent"] for stored in facts.values()]
    assert {by_header, by_extension, by_kafka} < set(traceparents), "the event's own goes before its request's"
    for stored in facts.values():
        assert dict(stored.headers)["traceparent"] == stored.json["traceparent"].encode()


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys, shared.service.main, services.projection.counting.log_reader;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_collector_without_its_packages_is_one_sentence_and_no_start() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from shared.observability.tracing import Tracing\n"
        "Tracing('http://127.0.0.1:9/v1/traces', 'recruitment', 'api')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("SKILLPLAN_OTLP 需要另装的软件包 needs packages")
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_a_report_says_is_never_taken_for_its_trace() -> None:
    mine = traceparent()
    fact = {"id": "1", "traceparent": mine, "datacontenttype": "application/json", "data": {"x": ',"traceparent":"00"'}}
    raw = json.dumps(fact, separators=(",", ":")).encode()
    assert tracing.of_fact(raw) == mine.encode()
    fact.pop("traceparent")
    nested = {"traceparent": mine, "datacontenttype": "application/json"}
    assert tracing.of_fact(json.dumps(fact, separators=(",", ":")).encode()) is None
    encoded = json.dumps({**fact, "data": {"a": 1, **nested}}, separators=(",", ":")).encode()
    assert tracing.of_fact(encoded) is None


def test_a_good_word_runs_out_and_a_problem_does_not() -> None:
    now = [100.0]
    health = Health("database", clock=lambda: now[0])
    assert health.problems == {"database": "starting"}
    health.report("database", None, good_for=10)
    health.report("relay", "kafka: not available", good_for=10)
    now[0] += 9
    assert health.problems == {"relay": "kafka: not available"}
    now[0] += 3
    assert health.problems == {"relay": "kafka: not available", "database": "no word for 12 s"}


async def test_what_cannot_be_asked_is_left_out_and_named() -> None:
    health = Health("database")
    metrics = Metrics("recruitment", "api", health)
    answers: list[Any] = [[Reading("skillplan_quarantined", 3, ("recruitment",))], TimeoutError(), NotWell("empty")]

    async def ask() -> list[Reading]:
        answer = answers[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    seen = []
    for _ in range(3):
        await metrics.look("database", ask)
        value = metrics.registry.get_sample_value("skillplan_quarantined", {"service": "recruitment"})
        seen.append((value, health.problems))
        answers.pop(0)
    assert seen == [(3, {}), (None, {"database": "no answer within 3 s"}), (None, {"database": "empty"})]


def test_the_first_position_that_is_not_done_says_for_how_long() -> None:
    now = [0.0]
    since = Since(clock=lambda: now[0])
    for head in (5, 7, 9):
        since.note(head)
        now[0] += 10
    assert [since.seconds(done) for done in (0, 5, 6, 8, 9)] == [30, 20, 20, 10, 0]
    now[0] += 5
    since.note(12)
    assert since.seconds(11) == 0
    now[0] += 1
    assert since.seconds(11) == 1
