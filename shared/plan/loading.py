"""Loads plan files; an error names file, line, path and what was expected there."""

import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)
from pydantic_core import ErrorDetails

from shared.plan.model import Plan
from shared.plan.parts import PlanPart

LARGEST_FILE: Final = 1024 * 1024  # bytes
DEEPEST: Final = 20
MOST_NODES: Final = 50_000
# Of a number in groups of sixty (1:1:1:…) each group costs more than the one before; and a fault quotes keys.
LONGEST_TEXT: Final = 4000
_MOST_FAULTS: Final = 1000
_LONGEST_TYPO: Final = 64
_LONGEST_PROBLEM: Final = 200
# Of many directives libyaml compares each with all others, in one call that nothing interrupts.
_DIRECTIVE: Final = re.compile("(?:^|[\\r\\n\\x85\\u2028\\u2029\\ufeff])%")


def load_plans(folder: str | Path) -> tuple[Plan, ...]:
    """Read every .yaml file of a folder, in the order of their names.

    Raises PlanError, which names every fault by file, line, path and what was expected there.
    """
    files = sorted(Path(folder).glob("*.yaml"))
    if not files:
        raise PlanError([PlanFault(str(folder), 0, "", "至少一个计划文件 *.yaml", "at least one plan file *.yaml")])
    faults: list[PlanFault] = []
    plans: dict[str, Plan] = {}
    for file in files:
        try:
            plan = load_plan(file)
        except PlanError as error:
            faults += error.faults
            continue
        if plan.id in plans:
            faults.append(PlanFault(str(file), 1, "id", "各计划的 id 不同", f"an id that no other plan has: {plan.id}"))
        plans[plan.id] = plan
    if faults:
        raise PlanError(faults)
    return tuple(plans.values())


def load_plan(file: str | Path) -> Plan:
    """Read one plan file; raises PlanError."""
    with Path(file).open("rb") as stream:
        raw = stream.read(LARGEST_FILE + 1)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(raw) <= LARGEST_FILE:
            line = raw.count(b"\n", 0, error.start) + 1
            raise PlanError([PlanFault(str(file), line, "", "UTF-8 文本", "text in UTF-8")]) from None
        text = raw.decode("utf-8", "replace")
    return read_plan(text, str(file))


def read_plan(text: str, name: str) -> Plan:
    """Read a plan from YAML text; `name` stands for the file in what PlanError says.

    Whatever the text is, reading it is bounded: no anchors, aliases, tags or directives, 20 levels, 50,000 nodes, texts
    of 4,000 characters, 1 MiB.
    """
    source = _Source(text, name)
    if source.faults:
        raise PlanError(source.faults)
    try:
        plan = Plan.model_validate(source.content)
    except ValidationError as error:
        if (count := error.error_count()) > _MOST_FAULTS:
            raise PlanError([_too_many(name, count)]) from None
        raise PlanError(list(source.locate_all(error.errors(include_url=False)))) from None
    if faults := [source.fault(path, zh, en) for path, zh, en in _contradictions(plan)]:
        raise PlanError(faults)
    return plan


def check_plan(document: object) -> Plan:
    """Return the plan that a document already read says; raises PlanError, which then knows no lines."""
    try:
        plan = Plan.model_validate(document)
    except ValidationError as error:
        if (count := error.error_count()) > _MOST_FAULTS:
            raise PlanError([_too_many("", count)]) from None
        raise PlanError(
            [PlanFault("", 0, _pointer(e["loc"]), "有效内容", "what may stand there") for e in error.errors()]
        ) from None
    if faults := [PlanFault("", 0, _pointer(path), zh, en) for path, zh, en in _contradictions(plan)]:
        raise PlanError(faults)
    return plan


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


@dataclass(frozen=True, slots=True)
class PlanFault:
    """One thing wrong in a plan file."""

    file: str
    line: int
    path: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path or '(file)'}: 应为 {self.zh}; expected {self.en}"


class PlanError(Exception):
    """A plan file cannot be used; its text has one line a fault."""

    def __init__(self, faults: Sequence[PlanFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def _too_many(name: str, count: int) -> PlanFault:
    """Return the one fault of a plan that has very many: to list 49,000 takes a second in one call."""
    return PlanFault(name, 1, "", f"一份计划(现有 {count} 处错误)", f"a plan (this has {count} faults)")


_Path = tuple[str | int, ...]

# What pydantic calls a fault, and what was expected, in both languages.
_EXPECTED: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("有这个键", "this key"),
    "string_type": ("文本(数字请加引号)", "text (put a number in quotes)"),
    "int_type": ("整数", "an integer"),
    "bool_type": ("true 或 false", "true or false"),
    "date_type": ("日期 YYYY-MM-DD", "a date YYYY-MM-DD"),
    "date_from_datetime_parsing": ("日期 YYYY-MM-DD", "a date YYYY-MM-DD"),
    "decimal_type": ("数字", "a number"),
    "decimal_parsing": ("数字", "a number"),
    "finite_number": ("数字", "a number"),
    "tuple_type": ("列表", "a list"),
    "dict_type": ("键和值", "a mapping of keys to values"),
    "model_type": ("键和值", "a mapping of keys to values"),
    "model_attributes_type": ("键和值", "a mapping of keys to values"),
    "union_tag_not_found": ("有 kind 这个键", "a key kind"),
    "string_too_short": ("非空文本", "text that is not empty"),
    "too_short": ("至少 {min_length} 项", "at least {min_length} of them"),
    "string_pattern_mismatch": ("符合 {pattern} 的文本", "text of the form {pattern}"),
    "literal_error": ("{expected} 之一", "one of {expected}"),
    "union_tag_invalid": ("kind 为 {expected_tags} 之一", "a kind among {expected_tags}"),
    "greater_than": ("大于 {gt}", "above {gt}"),
    "greater_than_equal": ("不小于 {ge}", "not below {ge}"),
    "less_than_equal": ("不大于 {le}", "not above {le}"),
}
_KINDS: Final = frozenset({"count", "distinct", "sum", "latest", "milestones", "share", "density", "coverage"})


class _Source:
    """A YAML text read so that every path in it still knows its line."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines: dict[_Path, int] = {(): 1}
        self.keys: dict[_Path, list[str]] = {}
        self.faults: list[PlanFault] = []
        self.content: object = None
        if excess := _excess(text, name):
            self.faults.append(excess)
            return
        loader = yaml.CSafeLoader(text)  # in C: every process reads the plans when it starts
        try:
            node = loader.get_single_node()
            if node is not None:
                self.content = self._construct(loader, node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            problem = (error.problem or "")[:_LONGEST_PROBLEM]  # it may quote a tag of any length
            self.faults.append(PlanFault(name, mark.line + 1 if mark else 1, "", "YAML", f"YAML: {problem}"))
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            self.faults.append(PlanFault(name, 1, "", "YAML", f"YAML: {error}"))
        finally:
            loader.dispose()

    def _construct(self, loader: yaml.CSafeLoader, node: yaml.Node, path: _Path) -> object:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(loader, item, (*path, number)) for number, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            value: object = loader.construct_object(node)
            return value
        content: dict[Hashable, object] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node)
            here = (*path, key if isinstance(key, str) else str(key_node.value))
            if not isinstance(key, str) or key in content:
                self.lines[here] = key_node.start_mark.line + 1
                text = (
                    ("文本(请加引号)", "text (put it in quotes)")
                    if not isinstance(key, str)
                    else ("只写一次", "this key once")
                )
                self.faults.append(self.fault(here, *text))
                continue
            content[key] = self._construct(loader, value_node, here)
            self.lines[here] = key_node.start_mark.line + 1
        self.keys[path] = [key for key in content if isinstance(key, str)]
        return content

    def fault(self, path: _Path, zh: str, en: str) -> PlanFault:
        """Return a fault at a path; its line is that of the nearest part that is there."""
        known = path
        while known not in self.lines:
            known = known[:-1]
        return PlanFault(self.name, self.lines[known], _pointer(path), zh, en)

    def locate_all(self, errors: Iterable[ErrorDetails]) -> Iterator[PlanFault]:
        """Yield a fault for each thing that pydantic found."""
        for error in errors:
            path = self._path(error)
            # A list whose items are faulty is called too short as well.
            if error["type"] != "too_short" or (*path, error["ctx"]["min_length"] - 1) not in self.lines:
                yield self._locate(error, path)

    def _path(self, error: ErrorDetails) -> _Path:
        """Return where it is; pydantic's location also names union members, which no file has."""
        path: _Path = ()
        for number, step in enumerate(error["loc"]):
            last = number == len(error["loc"]) - 1
            if (*path, step) in self.lines or (last and step not in _KINDS and error["type"] == "missing"):
                path = (*path, step)
        return path

    def _locate(self, error: ErrorDetails, path: _Path) -> PlanFault:
        context = error.get("ctx", {})
        kind = error["type"]
        if kind == "plan":
            zh, en = str(context["zh"]), str(context["en"])
        elif kind == "extra_forbidden":
            key = str(path[-1])
            near = difflib.get_close_matches(key, _known_keys(), n=1) if len(key) <= _LONGEST_TYPO else []
            zh = "没有这个键" + (f"(是 {near[0]} 吗?)" if near else "")
            en = "no such key" + (f" (did you mean {near[0]}?)" if near else "")
        else:
            zh, en = (text.format(**context) for text in _EXPECTED.get(kind, (error["msg"], error["msg"])))
        return self.fault(path, zh, en)


def _excess(text: str, name: str) -> PlanFault | None:
    """Return what makes a text cost more than a plan may; the parser's events are read one by one, none is nested.

    The parser that builds the nodes calls itself for each level: 50,000 brackets ended the process.
    """

    def fault(line: int, zh: str, en: str) -> PlanFault:
        return PlanFault(name, line, "", zh, en)

    if len(text) > LARGEST_FILE or len(text.encode("utf-8", "replace")) > LARGEST_FILE:
        return fault(1, "至多 1 MiB", "at most 1 MiB")
    if match := _DIRECTIVE.search(text):
        return fault(text.count("\n", 0, match.end()) + 1, "不含指令(%)", "no directives (%)")
    depth = nodes = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                return fault(line, "不用锚点和别名(&、*)", "no anchors and aliases (& and *)")
            if getattr(event, "tag", None) is not None:
                return fault(line, "不用标签(!)", "no tags (!)")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_TEXT:
                return fault(line, f"每处文字至多 {LONGEST_TEXT:,} 字", f"texts of at most {LONGEST_TEXT:,} characters")
            nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                return fault(line, f"至多 {DEEPEST} 层", f"at most {DEEPEST} levels")
            if nodes > MOST_NODES:
                return fault(line, f"至多 {MOST_NODES:,} 个节点", f"at most {MOST_NODES:,} nodes")
    except (ValueError, yaml.YAMLError):
        return None  # what is no YAML is named when it is read
    return None


def _known_keys() -> list[str]:
    def under(model: type[BaseModel]) -> Iterator[str]:
        for child in model.__subclasses__():
            yield from (field.alias or name for name, field in child.model_fields.items())
            yield from under(child)

    return sorted(set(under(PlanPart)))


def _contradictions(plan: Plan) -> Iterator[tuple[_Path, str, str]]:
    """Yield what no single part of a plan can see: names used twice or not defined."""
    yield from _codes(plan)
    codes = plan.district_codes
    yield from _weights(plan, plan.month_weights, ("month_weights",))
    if plan.issuer is not None and plan.issuer not in plan.bodies:
        yield ("issuer",), "bodies 中的一个", "one of those under bodies"
    seen: set[str] = set()
    for s, series in enumerate(plan.series):
        for m, measure in enumerate(series.measures):
            here: _Path = ("series", s, "measures", m)
            yield from _id(measure.id, series.id, seen, here)
            for b, body in enumerate(measure.lead):
                if body not in plan.bodies:
                    yield (*here, "lead", b), "bodies 中的一个", "one of those under bodies"
            for i, indicator in enumerate(measure.indicators):
                at: _Path = (*here, "indicators", i)
                yield from _id(indicator.id, measure.id, seen, at)
                if indicator.unit not in plan.units:
                    yield (*at, "unit"), "units 中的一个", "one of those under units"
                for code in sorted(indicator.district_targets.keys() - codes):
                    yield (*at, "district_targets", code), "districts 中的代码", "the code of a district of this file"
                yield from _weights(plan, indicator.month_weights or plan.month_weights, (*at, "month_weights"))
    for key, part in plan.parameters:
        if part.clause is not None and part.clause not in seen:
            yield ("parameters", key, "clause"), "本文件中某项举措的编号", "the id of a measure of this file"


def _codes(plan: Plan) -> Iterator[tuple[_Path, str, str]]:
    seen: set[str] = set()
    for number, district in enumerate(plan.districts):
        if district.code in seen:
            yield ("districts", number, "code"), "每个代码一次", "each code once"
        seen.add(district.code)
    for number, district in enumerate(plan.districts):
        for index, former in enumerate(district.formerly):
            if former.code in seen:
                here: _Path = ("districts", number, "formerly", index, "code")
                yield here, "districts 中别处没有的代码", "a code that stands nowhere else under districts"
            seen.add(former.code)
    listed: set[str] = set()
    for number, credit_code in enumerate(plan.credit_codes):
        if credit_code.code in listed:
            yield ("credit_codes", number, "code"), "每个代码一次", "each code once"
        listed.add(credit_code.code)


def _id(id_: str, parent: str, seen: set[str], path: _Path) -> Iterator[tuple[_Path, str, str]]:
    if not id_.startswith(f"{parent}."):
        yield (*path, "id"), f"以 {parent}. 开头", f"an id that begins with {parent}."
    if id_ in seen:
        yield (*path, "id"), "每个编号一次", "each id once"
    seen.add(id_)


def _weights(plan: Plan, weights: tuple[int, ...], path: _Path) -> Iterator[tuple[_Path, str, str]]:
    months = 12 * len(plan.years)
    if len(weights) not in (12, months):
        yield path, f"12 或 {months} 个权重", f"12 or {months} weights"
