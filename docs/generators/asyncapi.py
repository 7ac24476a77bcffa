"""Writes docs/asyncapi.yaml: the topics and their messages, as AsyncAPI 3."""

from __future__ import annotations

from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from deploy.kafka import topics
from docs.generators.catalogue import DOCS, LANGUAGES, PLAN
from docs.generators.schemas import schema as schema_of
from docs.generators.schemas import untitled
from services.catalogue import COUNTED
from shared.contract.events import Event, Language
from shared.contract.messages import FactEnvelope, Receipt
from shared.plan.loading import load_plan

FILE: Final = DOCS / "asyncapi.yaml"
Schema = dict[str, Any]
_CLOUDEVENTS: Final = "application/cloudevents+json"
_FACT: Final[Schema] = untitled(TypeAdapter(FactEnvelope).json_schema())
_QUARANTINED: Final[Schema] = {
    "type": "object",
    "description": "什么读不懂:位置、原因、大小和带钥摘要;字节不在其中 what could not be read: place, reason, size and "
    "keyed digest, never the bytes",
}
_DISTRICT: Final = {"description": "区划代码 six-digit code of the district"}


class _Document:
    """Channels with their operations, messages and schemas, each shape of a name once."""

    def __init__(self) -> None:
        self.channels: dict[str, Schema] = {}
        self.operations: dict[str, Schema] = {}
        self.messages: dict[str, Schema] = {}
        self._facts: dict[str, Schema] = {}
        receipt = untitled(TypeAdapter(Receipt).json_schema())["$defs"]
        self.schemas: dict[str, Schema] = _relinked(receipt, {}) | {"Quarantined": _QUARANTINED}

    def schema(self, name: str, schema: Schema) -> Schema:
        """Keep a JSON Schema, its definitions beside it, and return a reference."""
        definitions = schema.get("$defs", {})
        renamed = {inner: self._named(name, inner, part) for inner, part in definitions.items()}
        for inner, part in definitions.items():
            self.schemas[renamed[inner]] = _relinked(part, renamed)
        self.schemas[name] = _relinked({k: v for k, v in schema.items() if not k.startswith("$")}, renamed)
        return {"$ref": f"#/components/schemas/{name}"}

    def _named(self, owner: str, inner: str, part: Schema) -> str:
        alike = self.schemas.get(inner)
        return inner if alike is None or alike == _relinked(part, {}) else f"{owner}.{inner}"

    def add_service(self, language: Language) -> None:
        """Add the topics of a service: its inboxes, and its facts."""
        service, reply = language.service, {"reply": {"channel": {"$ref": "#/channels/receipts"}}}
        facts = {_name(language, event): _fact(self, language, event) for event in language.versions}
        self._facts |= facts
        reports = {
            _name(language, event): _report(self, language, event)
            for event in language.versions if not event.decision
        }  # fmt: skip
        self.channels[f"{service}.reports"] = _channel(
            topics.reports(service, "{district}"),
            reports,
            "报告,键为 subject Reports; the key is the subject, so that those of one stay in order",
        )
        self.channels[f"{service}.events"] = _channel(
            topics.events(service), facts, "事实,按日志次序 Facts in the order of the log; the key is the stream"
        )
        if service not in COUNTED:
            (office,) = (topic for topic in topics.of_the_office() if topic.name.partition(".")[0] == service)
            self.channels[f"{service}.reports.office"] = _channel(
                office,
                reports,
                "计划办公室的报告,唯此一处受理 The plan office's own reports, which are taken from here alone (F1a)",
            )
            self.operations[f"{service}.decide.office"] = (
                _operation("receive", f"{service}.reports.office", "同上 The same, for the plan office") | reply
            )
        self.operations[f"{service}.decide"] = (
            _operation(
                "receive", f"{service}.reports", "逐份裁定,答以回执 Decide each report and answer it with a receipt"
            )
            | reply
        )
        self.operations[f"{service}.publish"] = _operation(
            "send", f"{service}.events", "至少一次,不跳号 At least once, in order, no position skipped"
        )

    def add_shared(self) -> None:
        """Add the topics that all services write; what sandboxes report is of any service added before."""
        tried = "试报系统的事实,每周一清空 What sandboxes report (A26), forgotten every Monday"
        self.channels["sandbox.events"] = _channel(topics.sandbox(), self._facts, tried)
        self.operations["sandbox.publish"] = _operation("send", "sandbox.events", tried)
        for topic, schema, text in (
            (
                topics.receipts("{district}"),
                "Receipt",
                "回执;取最近的 decided_at Receipts; the latest of a report stands",
            ),
            (topics.quarantine(), "Quarantined", "读不懂的消息 What could not be read"),
        ):
            name, message = topic.name.partition(".")[0], schema.lower()
            payload = {"$ref": f"#/components/schemas/{schema}"}
            self.messages[message] = _message(message, text, payload, "application/json")
            self.channels[name] = _channel(topic, {message: {"$ref": f"#/components/messages/{message}"}}, text)
            self.operations[f"{name}.send"] = _operation("send", name, text)


def _relinked(schema: Any, renamed: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_relinked(item, renamed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        inner = schema["$ref"].rpartition("/")[2]
        return {"$ref": f"#/components/schemas/{renamed.get(inner, inner)}"}
    return {key: _relinked(value, renamed) for key, value in schema.items()}


def document() -> Schema:
    """Return the whole document."""
    parts = _Document()
    for language in LANGUAGES:
        parts.add_service(language)
    parts.add_shared()
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Skillplan",
            "version": "1",
            "description": f"{load_plan(PLAN).title.zh}\n\n{load_plan(PLAN).title.en}\n\n"
            "区县报告发生的事,服务裁定、给出回执、记为事实。 Districts report what happened; services decide, answer "
            "with receipts and record facts. CloudEvents 1.0.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _CLOUDEVENTS,
        "servers": {
            "local": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "`make up`"},
            "city": {
                "host": "{broker}",
                "protocol": "kafka-secure",
                "description": "SASL/SCRAM-SHA-512;区县只能写自己的报告主题、读自己的回执 a district may write its own "
                "reports and read its own receipts, nothing else",
                "variables": {"broker": {"description": "主机:端口 host:port"}},
                "security": [{"$ref": "#/components/securitySchemes/scram"}],
            },
        },
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {
            "messages": parts.messages,
            "schemas": parts.schemas,
            "securitySchemes": {"scram": {"type": "scramSha512"}},
        },
    }


def _name(language: Language, event: type[Event]) -> str:
    return f"{language.service}.{event.versioned_name()}"


def _report(parts: _Document, language: Language, event: type[Event]) -> Schema:
    name = _name(language, event)
    schema = schema_of(language, event)
    examples = [{"payload": example} for example in schema.pop("examples", ())]
    message = _message(language.type_of(event), _described(event), parts.schema(f"report.{name}", schema), _CLOUDEVENTS)
    if examples:
        message["examples"] = examples
    parts.messages[f"report.{name}"] = message
    return {"$ref": f"#/components/messages/report.{name}"}


def _fact(parts: _Document, language: Language, event: type[Event]) -> Schema:
    name = _name(language, event)
    data = parts.schema(f"data.{name}", event.model_json_schema())
    schema = {
        "type": "object",
        "required": _FACT["required"],
        "properties": _FACT["properties"] | {"type": {"const": language.type_of(event)}, "data": data},
    }
    parts.messages[f"fact.{name}"] = _message(
        language.type_of(event), _described(event), parts.schema(f"fact.{name}", schema), _CLOUDEVENTS
    )
    return {"$ref": f"#/components/messages/fact.{name}"}


def _described(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split())


def _message(name: str, text: str, payload: Schema, content_type: str) -> Schema:
    return {"name": name, "summary": text, "contentType": content_type, "payload": payload}


def _channel(topic: topics.Topic, messages: dict[str, Schema], text: str) -> Schema:
    channel: Schema = {"address": topic.name, "description": text, "messages": messages}
    if "{district}" in topic.name:
        channel["parameters"] = {"district": _DISTRICT}
    return channel | {"bindings": {"kafka": {"partitions": topic.partitions, "bindingVersion": "0.5.0"}}}


def _operation(action: str, channel: str, text: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": text}


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # every part written out: not every reader knows YAML's anchors
        return True


def page() -> str:
    """Return the document as YAML."""
    text = yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return "# 由 make docs 生成,请勿手改。 Generated by `make docs`; do not edit.\n" + text


def main() -> None:
    """Write it."""
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
