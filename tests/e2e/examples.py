"""The requests whose responses are the examples in the APIs' descriptions, and what is recorded of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson

from shared.contract.cloudevents import BATCH, STRUCTURED
from tests.e2e.conftest import PLAN
from tests.harness.languages import sample
from tests.harness.processes import eventually

MONTH: Final = "2023-03"
SIX: Final = ("330602", "330603", "330604", "330624", "330681", "330683")
_OFFICE: Final = "/districts/330600/plan-office"
_AS_OF: Final = "2025-06-30"
_MOST_TEXT: Final = 400
# Every response of these types has a model; of the others the description says only what JSON or text they are.
_MODELLED: Final = ("application/json", "text/event-stream")
_LINES: Final = "application/x-ndjson"
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]*")
Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: a route, its parameters, what is sent with it, and the status that it must be answered with."""

    route: str
    given: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media: str | None = None
    status: int = 200
    name: str = ""  # of the example, where a route has several
    title: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    recorded: bool = True  # False: only what others rest on, or too large to show
    patient: bool = False  # asked again until it is answered so

    def of(self, base: str) -> httpx.Response:
        """Ask it."""
        if self.patient:
            eventually(lambda: self._once(base).status_code == self.status)
        return self._once(base)

    def _once(self, base: str) -> httpx.Response:
        method, _, path = self.route.partition(" ")
        names = re.findall(r"\{(\w+)\}", path)
        url = base + path.format_map({name: self.given[name] for name in names})
        query = {name: value for name, value in self.given.items() if name not in names}
        headers = self.headers | ({"content-type": self.media} if self.media else {})
        content = self.body if isinstance(self.body, str | None) else orjson.dumps(self.body)
        with (
            httpx.Client(timeout=120) as client,
            client.stream(method, url, params=query, content=content, headers=headers) as answer,
        ):
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                lines = answer.iter_lines()
                first = next(line for line in lines if line.startswith("data:"))
                return httpx.Response(answer.status_code, headers={"content-type": "text/event-stream"}, text=first)
            answer.read()
        return answer


def report(service: str) -> Node:
    """Return the report that a service's API shows as its example."""
    if service == "planning":
        data = {"plan": PLAN, "month": MONTH, "districts": list(SIX), "by": "分管领导", "why": "演示:逾期未报"}
        return _office("close-overridden", data, "example-1")
    known = sample(service, "person-hired" if service == "recruitment" else "activity-reported")
    return known | {"id": "example-1", "subject": f"{known['subject'].rpartition('/')[0]}/example-1"}


def _office(type_: str, data: Node, id_: str, source: str = _OFFICE, subject: str = f"month/{PLAN}/{MONTH}") -> Node:
    return {
        "specversion": "1.0", "id": id_, "source": source, "type": f"skillplan.planning.{type_}.v1",
        "subject": subject, "time": "2023-04-06T09:00:00+08:00", "district": source.split("/")[2], "data": data,
    }  # fmt: skip


def of_a_service(service: str) -> Iterator[Ask]:
    """Yield the questions to a domain service, in an order in which each gets its answer."""
    event = report(service)
    wrong = {name: value for name, value in event.items() if name != "subject"} | {"id": "example-2"}
    never = {"report_id": "never-sent", "reason": "演示"}
    waiting = sample(service, "report-retracted") | {"id": "example-3", "data": never}
    log = "GET /v1/log"
    yield from _of_reports(event, wrong, waiting)
    yield Ask(f"{log}/head", {"settled": "true"})
    yield Ask(log, {"after": "0", "limit": "3"})
    yield Ask(log, {"limit": "0"}, status=422)
    yield Ask(log, {"after": "0", "limit": "1", "format": "ndjson"})
    yield Ask(f"{log}/sandbox", {"after": "0", "limit": "2"})
    yield Ask(f"{log}/sandbox", {"limit": "0"}, status=422)
    # The tree follows the log within a second or so.
    yield Ask(f"{log}/proof", {"position": "1", "size": "1"}, patient=True)
    yield Ask(f"{log}/proof", {"position": "1", "size": str(2**62)}, status=404)
    yield Ask(f"{log}/proof", {"position": "0"}, status=422)
    yield Ask(f"{log}/consistency", {"old": "1", "size": "1"})
    yield Ask(f"{log}/consistency", {"old": "1", "size": str(2**62)}, status=404)
    yield Ask(f"{log}/consistency", {"old": "-1"}, status=422)
    yield Ask(f"{log}/key", {"algorithm": "ed25519"})
    yield Ask(f"{log}/key", {"algorithm": "x"}, status=422)
    yield Ask(f"{log}/checkpoint", {"cosigned": "true"})
    yield Ask(f"{log}/checkpoint", {"cosigned": "x"}, status=422)
    yield Ask(f"{log}/tile/entries/{{number}}", {"number": "000.p/1"})
    yield Ask(f"{log}/tile/entries/{{number}}", {"number": "000.p/0"}, status=404)
    yield Ask(f"{log}/tile/{{level}}/{{number}}", {"level": "0", "number": "000.p/1"})
    yield Ask(f"{log}/tile/{{level}}/{{number}}", {"level": "0", "number": "000.p/0"}, status=404)
    if service == "planning":
        yield from _of_the_plan_office()


def of_the_gateway() -> Iterator[Ask]:
    """Yield the questions that the gateway answers itself."""
    known = report("enrollment")
    event = known | {"id": "example-g", "subject": f"{known['subject'].rpartition('/')[0]}/example-g"}
    wrong = {name: value for name, value in report("recruitment").items() if name != "subject"} | {"id": "example-h"}
    never = {"report_id": "never-sent", "reason": "演示"}
    yield from _of_reports(event, wrong, sample("competition", "report-retracted") | {"id": "example-i", "data": never})
    log, where = "GET /services/{service}/v1/log", {"service": "enrollment"}
    yield Ask(log, where | {"after": "0", "limit": "1"})
    yield Ask(log, {"service": "nobody"}, status=404)
    yield Ask(f"{log}/{{what}}", where | {"what": "key"})
    yield Ask(f"{log}/{{what}}", {"service": "nobody", "what": "key"}, status=404)


def _of_reports(event: Node, wrong: Node, waiting: Node) -> Iterator[Ask]:
    receipts, query = "GET /v1/receipts", "POST /v1/receipts/query"
    known = {"source": event["source"], "id": event["id"]}
    never = known | {"id": "never-sent"}
    for post in ("POST /v1/validate", "POST /v1/events"):
        yield Ask(post, body=event, media=STRUCTURED, name="one", title="一份 One event")
        yield Ask(post, body=[event, wrong], media=BATCH, name="batch", title="一批 A batch: one again, one wrong")
        yield Ask(post, body=waiting, media=STRUCTURED, status=202, name="waiting", title="等待 One that waits")
        yield Ask(post, body=wrong, media=STRUCTURED, status=422, name="wrong", title="有误 One that is wrong")
        yield Ask(post, body="{", media=STRUCTURED, status=400)
        yield Ask(post, body=[event] * 1001, media=BATCH, status=413)
        yield Ask(post, body="x", media="text/plain", status=415)
    yield Ask(receipts, known)
    yield Ask(receipts, never, status=404)
    yield Ask(receipts, {"source": event["source"]}, status=422)
    yield Ask(f"{receipts}/report", known)
    yield Ask(f"{receipts}/report", never, status=404)
    yield Ask(f"{receipts}/report", {"source": event["source"]}, status=422)
    json = "application/json"
    yield Ask(query, body={"pairs": [known, never]}, media=json, name="pairs", title="两对 Two pairs")
    yield Ask(query, body={"pairs": [never] * 1001}, media=json, status=413)
    yield Ask(query, body={}, media=json, status=422)


def _of_the_plan_office() -> Iterator[Ask]:
    plans, named, months = "/v1/plans", {"plan": PLAN}, "/v1/plans/{plan}/months/{month}"
    of_month = named | {"month": MONTH}
    request_data = {"plan": PLAN, "month": MONTH, "by": "诸暨市统计科", "why": "补报"}
    why = _office("restatement-requested", request_data, "example-4", "/districts/330681/statistics",
                  f"restatement/{PLAN}/{MONTH}/E-1")  # fmt: skip
    note = {"plan": PLAN, "indicator": "2.4.a", "period": "2023", "of": "330683", "cause": "演示:开班推迟",
            "next_step": "演示:四月起每周报进度", "by": "嵊州市统计科"}  # fmt: skip
    yield Ask("POST /v1/events", body=_office("note-written", note, "example-5", "/districts/330683/statistics",
              f"note/{PLAN}/2.4.a/2023/330683"), media=STRUCTURED, recorded=False)  # fmt: skip
    close = {"source": _OFFICE, "id": "example-close", "by": "计划办公室"}
    restate = {"source": _OFFICE, "id": "example-restate", "by": "计划办公室", "request_no": "E-1"}
    yield Ask(f"GET {plans}")
    for targets in (f"GET {plans}/{{plan}}", f"GET {plans}/{{plan}}/targets"):
        yield Ask(targets, named | {"on": _AS_OF})
        yield Ask(targets, {"plan": "none"}, status=404)
        yield Ask(targets, named | {"on": "soon"}, status=422)
    file = f"plans/{PLAN}.yaml"
    with open(file, encoding="utf-8") as stream:
        text = stream.read()
    diff = f"POST {plans}/{{plan}}/diff"
    yield Ask(diff, named, text, "application/yaml", name="file", title="计划文件 A plan file")
    yield Ask(diff, {"plan": "none"}, text, "application/yaml", 404)
    yield Ask(diff, named, "id: x\n", "application/yaml", 422)
    for route, body in (("close", close), ("restate", restate)):
        post = f"POST {months}/{route}"
        if route == "restate":
            yield Ask("POST /v1/events", body=why, media=STRUCTURED, recorded=False)
        yield Ask(post, of_month, body, "application/json", name="asked", title="经办人 Who decides")
        yield Ask(post, of_month | {"plan": "none"}, body, "application/json", 404)
        again = body | {"id": f"{body['id']}-again"}
        yield Ask(post, of_month, again, "application/json", 422)
    yield Ask(f"GET {months}", of_month)
    yield Ask(f"GET {months}", of_month | {"plan": "none"}, status=404)
    yield Ask(f"GET {months}", of_month | {"month": "2023"}, status=422)


def of_the_projection() -> Iterator[Ask]:
    """Yield the questions to the projection; a month is closed and a report sent before."""
    plan = "/v1/plans/{plan}"
    named = {"plan": PLAN}
    day = named | {"as_of": _AS_OF}
    event = report("recruitment")
    yield Ask("GET /v1/plans")
    yield Ask(f"GET {plan}", named)
    yield Ask(f"GET {plan}", {"plan": "none"}, status=404)
    indicator = {"indicator": "4.1.b", "period": "2024"}
    for route, more in (
        ("progress", {"district": "330681"}), ("behind", {"district": "330681"}), ("outlook", {"district": "330681"}),
        ("measures", {"district": "330681"}), ("indicators/{indicator}/months", indicator | {"district": "330681"}),
        ("indicators/{indicator}/districts", indicator),
        ("indicators/{indicator}/facts", indicator | {"district": "330681", "month": "2024-05", "limit": "5",
                                                      "after": "0"}),
        ("indicators/{indicator}/changes", indicator | {"district": "330681", "limit": "5", "after": "0"}),
    ):  # fmt: skip
        path = f"GET {plan}/{route}"
        own = {"indicator": "4.1.b"} if "{indicator}" in route else {}
        yield Ask(path, day | own | ({"period": "2024"} if own else {}), name="whole", title="全市 The whole city")
        yield Ask(path, day | more, name="asked", title="所问的一部分 A part of it")
        if not route.endswith("changes"):
            yield Ask(path, day | own | {"format": "csv"})
        if route.endswith(("facts", "}/months")):
            yield Ask(path, day | own | {"format": "xlsx", "lang": "zh"})
        yield Ask(path, day | own | {"plan": "none"}, status=404)
        yield Ask(path, day | own | {"as_of": "soon"}, status=422)
    yield from _of_the_matrix(f"GET {plan}/districts", day)
    briefing, month = f"GET {plan}/briefing", {"month": "2025-06"}
    of_district = named | month | {"district": "330681"}
    yield Ask(briefing, of_district | {"format": "json"})
    yield Ask(briefing, of_district | {"format": "html", "lang": "zh", "figures": "now"})
    yield Ask(briefing, of_district | {"format": "docx"})
    yield Ask(briefing, of_district | {"format": "xlsx", "facts": "true"})
    yield Ask(briefing, {"plan": "none"} | month, status=404)
    yield Ask(briefing, named | {"month": "2022-01"}, status=422)
    yield Ask(f"GET {plan}/figures", named | {"month": MONTH})
    yield Ask(f"GET {plan}/figures", {"plan": "none", "month": MONTH}, status=404)
    yield Ask(f"GET {plan}/figures", named | {"month": "soon"}, status=422)
    yield from _of_the_logs(f"GET {plan}/logs", named)
    yield from _of_the_closings(f"GET {plan}/closings", named)
    yield from _of_the_notes(f"GET {plan}/notes", named)
    yield Ask(f"GET {plan}/stream", named)
    yield Ask(f"GET {plan}/stream", {"plan": "none"}, status=404)
    yield from _of_the_sandbox("GET /v1/sandbox/{plan}/progress", named)
    yield Ask("GET /v1/receipts", {"source": event["source"], "id": event["id"]})
    yield Ask("GET /v1/receipts", {"source": event["source"], "id": "never-sent"}, status=404)
    yield Ask("GET /v1/receipts", {"source": event["source"]}, status=422)
    receipts, where = "GET /v1/districts/{district}/receipts", {"district": "330681"}
    yield Ask(receipts, where | {"limit": "500"}, name="whole", title="全部 All")
    yield Ask(receipts, where | {"status": "refused", "limit": "5", "after": "999999"}, name="asked",
              title="被拒的 Those refused")  # fmt: skip
    yield Ask(receipts, where | {"type": event["type"], "code": "bad-date", "day": "2025-06-30"}, name="none",
              title="某类、某因、某日 Of a type, a reason and a day")  # fmt: skip
    yield Ask(receipts, where | {"format": "csv"})
    yield Ask(receipts, where | {"format": "xlsx", "lang": "zh"})
    yield Ask(receipts, {"district": "000000"}, status=404)
    yield Ask(receipts, where | {"day": "soon"}, status=422)
    yield from _of_the_types(event)


def _of_the_logs(logs: str, named: Node) -> Iterator[Ask]:
    yield Ask(logs, named)
    yield Ask(logs, named | {"format": "csv"})
    yield Ask(logs, named | {"format": "xlsx", "lang": "zh"})
    yield Ask(logs, {"plan": "none"}, status=404)
    yield Ask(logs, named | {"format": "xml"}, status=422)


def _of_the_closings(closings: str, named: Node) -> Iterator[Ask]:
    yield Ask(closings, named)
    yield Ask(closings, named | {"format": "csv"})
    yield Ask(closings, named | {"format": "xlsx", "lang": "zh"})
    yield Ask(closings, {"plan": "none"}, status=404)
    closed = f"{closings}/{{month}}"
    yield Ask(closed, named | {"month": MONTH})
    yield Ask(closed, named | {"month": MONTH, "district": "330681"}, name="asked", title="某区县 One district")
    yield Ask(closed, named | {"month": MONTH, "format": "csv"})
    yield Ask(closed, named | {"month": MONTH, "format": "xlsx", "lang": "zh"})
    yield Ask(closed, named | {"month": "2023-01"}, status=404)
    yield Ask(closed, named | {"month": MONTH, "district": "000000"}, status=422)


def _of_the_sandbox(progress: str, named: Node) -> Iterator[Ask]:
    yield Ask("GET /v1/difference")
    yield Ask(progress, named | {"as_of": _AS_OF, "district": "330681"})
    yield Ask(progress, {"plan": "none"}, status=404)
    yield Ask(progress, named | {"as_of": "soon"}, status=422)


def _of_the_matrix(matrix: str, day: Node) -> Iterator[Ask]:
    yield Ask(matrix, day)
    yield Ask(matrix, day | {"format": "csv"})
    yield Ask(matrix, day | {"plan": "none"}, status=404)
    yield Ask(matrix, day | {"as_of": "soon"}, status=422)


def _of_the_notes(notes: str, named: Node) -> Iterator[Ask]:
    noted = {"indicator": "2.4.a", "period": "2023", "district": "330683", "as_of": "2023-12-31"}
    yield Ask(notes, named, name="whole", title="全部 All")
    yield Ask(notes, named | noted, name="asked", title="一项 One cell")
    yield Ask(notes, named | {"format": "csv"})
    yield Ask(notes, named | {"format": "xlsx", "lang": "zh"})
    yield Ask(notes, {"plan": "none"}, status=404)
    yield Ask(notes, named | {"district": "000000"}, status=422)


def _of_the_types(event: Node) -> Iterator[Ask]:
    fact = {name: event[name] for name in ("type", "subject", "district", "time")}
    fact["data"] = {name: value for name, value in event["data"].items() if name != "person"}
    would, facts = "POST /v1/would-count", {"facts": [fact]}
    yield Ask(would, body=facts, media="application/json", name="facts", title="一件事实 A fact")
    yield Ask(would, body={}, media="application/json", status=422)
    yield Ask("GET /asyncapi.yaml")
    yield Ask("GET /v1/types")
    yield Ask("GET /schemas")
    yield Ask("GET /schemas/{name}", {"name": "recruitment.person-hired.v1.json"})
    yield Ask("GET /schemas/{name}", {"name": "none.json"}, status=404)


def body_of(answer: httpx.Response) -> Any:
    """Return an answer's body: its JSON, that of an event of a stream, else its text; None where it is neither."""
    if answer.headers["content-type"] == _LINES:
        return answer.text
    if "json" in answer.headers["content-type"]:
        return answer.json()
    if answer.headers["content-type"].startswith("text/event-stream"):
        return orjson.loads(answer.text.removeprefix("data:"))
    if answer.headers["content-type"] == "application/octet-stream":
        return base64.b64encode(answer.content).decode()
    return answer.text if answer.headers["content-type"].startswith(("text/", "application/yaml")) else None


def media_of(answer: httpx.Response) -> str:
    """Return the media type of an answer."""
    return str(answer.headers["content-type"].partition(";")[0])


def records(exchanges: Iterable[tuple[Ask, httpx.Response]]) -> Node:
    """Return what is recorded of requests and responses, by route."""
    routes: Node = {}
    answers: dict[tuple[str, str, str], list[tuple[Ask, Any]]] = {}
    for ask, answer in exchanges:
        if not ask.recorded:
            continue
        seen = routes.setdefault(ask.route, {})
        if answer.is_success:
            seen["parameters"] = {**ask.given, **seen.get("parameters", {})} if seen else dict(ask.given)
        if answer.headers.get("etag"):
            seen["etag"] = True
        if ask.name and ask.media:
            value = ask.body if not isinstance(ask.body, str) else _cut(ask.body)
            example = {"summary": ask.title, "value": value}
            seen.setdefault("requests", {}).setdefault(ask.media, {})[ask.name] = example
        answers.setdefault((ask.route, str(answer.status_code), media_of(answer)), []).append((ask, body_of(answer)))
    for (route, status, media), each in answers.items():
        routes[route].setdefault("answers", {}).setdefault(status, {})[media] = _content(media, each)
    for seen in routes.values():
        if not seen.get("parameters"):
            seen.pop("parameters", None)
    return routes


def _content(media: str, each: list[tuple[Ask, Any]]) -> Node:
    bodies = [body for _, body in each]
    if media == "application/problem+json":
        return {"example": bodies[0]}
    if bodies[0] is None:
        return {"schema": {"type": "string", "format": "binary"}}
    named = {ask.name: {"summary": ask.title, "value": _cut(body)} for ask, body in each if ask.name}
    schema: Node = (
        {}
        if media in _MODELLED
        else {"schema": {"type": "object" if media.endswith("json") and media != _LINES else "string"}}
    )
    return schema | ({"examples": named} if len(named) > 1 else {"example": _cut(bodies[0])})


def _cut(value: Any) -> Any:
    """Return a value with what repeats left out."""
    if isinstance(value, str) and ("\n" in value or len(value) > _MOST_TEXT):
        return "\n".join(value[:_MOST_TEXT].splitlines()[:4])
    if isinstance(value, list):
        return [_cut(item) for item in value[: 2 if len(orjson.dumps(value[:2])) < _MOST_TEXT else 1]]
    if isinstance(value, dict):
        few = list(value.items())[: None if all(map(_FIELD.fullmatch, value)) else 2]
        return {name: _cut(item) for name, item in few}
    return value


def strict(schema: Node) -> Node:
    """Return a schema that takes no field which it does not name."""
    inner: Node = {
        key: [strict(item) for item in value] if key == "anyOf"
        else {name: strict(item) for name, item in value.items()} if key in ("properties", "schemas")
        else strict(value) if key == "items" or (key == "additionalProperties" and isinstance(value, dict))
        else value
        for key, value in schema.items()
    }  # fmt: skip
    return inner | ({"additionalProperties": False} if "properties" in schema else {})
