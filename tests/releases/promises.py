"""What a later version of an API takes away from those who call it: routes, parameters, and what answers hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Node = Mapping[str, Any]
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def taken_away(old: Node, new: Node) -> list[str]:
    """Return what one description of an API has and a later one lacks, or asks for besides, each with its place."""
    return sorted(set(_Comparison(old, new).routes()))


class _Comparison:
    """Two descriptions of one API; a schema that holds itself is gone into once."""

    def __init__(self, old: Node, new: Node) -> None:
        self._old, self._new = old, new
        self._within: set[tuple[str, str]] = set()

    def routes(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method in _METHODS:
                if method not in methods:
                    continue
                at = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{at}: gone"
                else:
                    yield from self._parameters(methods[method], now, at)
                    yield from self._bodies(methods[method], now, at)

    def _parameters(self, old: Node, new: Node, at: str) -> Iterator[str]:
        before = {(each["in"], each["name"]): each for each in old.get("parameters", ())}
        after = {(each["in"], each["name"]): each for each in new.get("parameters", ())}
        for key in before.keys() - after.keys():
            yield f"{at} ?{key[1]}: gone"
        for key, each in after.items():
            if each.get("required") and not before.get(key, {}).get("required"):
                yield f"{at} ?{key[1]}: asked for"
        for key in before.keys() & after.keys():
            yield from self._schemas(
                before[key].get("schema", {}), after[key].get("schema", {}), f"{at} ?{key[1]}", True
            )

    def _bodies(self, old: Node, new: Node, at: str) -> Iterator[str]:
        bodies, takes = old.get("requestBody", {}).get("content", {}), new.get("requestBody", {}).get("content", {})
        for kind in bodies:
            if kind not in takes:
                yield f"{at} {kind}: no longer taken"
            else:
                yield from self._schemas(
                    bodies[kind].get("schema", {}), takes[kind].get("schema", {}), f"{at} body", True
                )
        for status, answer in old["responses"].items():
            now = new["responses"].get(status)
            if now is None and not status.startswith("2"):
                continue  # one refusal less
            for kind, content in answer.get("content", {}).items():
                given = (now or {}).get("content", {}).get(kind)
                if given is None:
                    yield f"{at} {status} {kind}: gone"
                else:
                    yield from self._schemas(
                        content.get("schema", {}), given.get("schema", {}), f"{at} {status}", False
                    )

    def _schemas(self, old: Node, new: Node, at: str, sent: bool) -> Iterator[str]:
        """`sent`: what is sent to the service; else what it answers."""
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if pair[0] and pair in self._within:
            return
        self._within.add(pair)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        olds, news = _branches(old, self._old), _branches(new, self._new)
        before, after = _kinds(olds), _kinds(news)
        # What said nothing of its kind promised nothing.
        if before and after and (lost := before - after if sent else after - before):
            yield f"{at}: {'no longer' if sent else 'may be'} {sorted(lost)}"
        for branch in olds:
            same = [other for other in news if _kinds([other]) == _kinds([branch])]
            lost_by = [list(self._same_kind(branch, other, at, sent)) for other in same]
            yield from min(lost_by, key=len, default=[])
        self._within.discard(pair)

    def _same_kind(self, old: Node, new: Node, at: str, sent: bool) -> Iterator[str]:
        fields, now = old.get("properties", {}), new.get("properties", {})
        for name in fields:
            if name in now:
                yield from self._schemas(fields[name], now[name], f"{at}/{name}", sent)
            elif not isinstance(new.get("additionalProperties"), dict | bool) or not new["additionalProperties"]:
                yield f"{at}/{name}: gone"
        required, needed = set(old.get("required", ())), set(new.get("required", ()))
        if changed := needed - required if sent else (required & now.keys()) - needed:
            yield f"{at}: {'asks for' if sent else 'no longer promises'} {sorted(changed)}"
        if sent and "enum" in new and (gone := set(old.get("enum", ())) - set(new["enum"])):
            yield f"{at}: other words, without {sorted(gone)}"
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            yield from self._schemas(old["items"], new["items"], f"{at}/-", sent)


def _resolved(schema: Node, document: Node) -> Node:
    reference = schema.get("$ref")
    while isinstance(reference, str):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        reference = schema.get("$ref")
    return schema


def _branches(schema: Node, document: Node) -> list[Node]:
    kinds = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [part for each in kinds for part in ([_resolved(each, document)] if each is not schema else [schema])]


def _kinds(schemas: list[Node]) -> set[str]:
    """Return the kinds of JSON value that there may be; none where one of the schemas does not say."""
    named = [kind for each in schemas for kind in _listed(each.get("type"))]
    if not all("type" in each for each in schemas):
        return set()
    return {*named, "integer"} if "number" in named else set(named)


def _listed(kind: Any) -> list[str]:
    return kind if isinstance(kind, list) else [kind]
