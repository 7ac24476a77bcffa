"""What the generated pages are made of: event types, refusal codes with their remedies, the plan, and the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Final

import yaml

from docs.generators.markdown import anchor
from services import vocabulary
from services.catalogue import DOMAIN_SERVICES, languages
from shared.contract import remedies, rules
from shared.contract.events import Adds, Ends, Opens, Retracts
from shared.contract.rules import Rule
from shared.plan.loading import load_plan
from shared.plan.model import Indicator, Plan

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
PLAN: Final = ROOT / "plans" / "shaoxing-2023-2025.yaml"
LANGUAGES: Final = tuple(languages().values())
# What a test file may name: an indicator, a type or code, a class, a code of one word in quotes.
_FORMS: Final = tuple(
    map(re.compile, (r"(?<![0-9.])[0-9]+\.[0-9]+\.[a-z](?![a-z0-9.])", r"[a-z-]+", r"\w+", r"[\"'][a-z]+[\"']"))
)


class IncompleteError(Exception):
    """Something that must stand in a page is missing; the message names all of it."""


@dataclass(frozen=True, slots=True)
class Code:
    """A refusal code: its receipt status, the rules that answer with it, the place in the contract, the fix."""

    code: str
    status: str
    classes: tuple[type[Rule], ...]
    rule: str
    types: tuple[str, ...]
    fix: Mapping[str, str]

    @property
    def link(self) -> str:
        """A link to it from another page."""
        return f"[`{self.code}`](refusals.md#{anchor(self.code)})"


class Catalogue:
    """All that the pages are made of: languages, rules with their fixes, the plan, and what the tests speak of."""

    def __init__(self, plan: Plan | None = None, tests: Mapping[str, str] | None = None) -> None:
        self.plan = plan or load_plan(PLAN)
        self.types = {
            f"{language.service}.{event.type_name}": (language, event)
            for language in LANGUAGES
            for event in language.events
        }
        folder = ROOT / "tests"
        self._tests = tests or {
            file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
            for file in sorted(folder.rglob("test_*.py"))
        } | {
            # What it lists is gone through by tests of the same folder.
            "tests/contract/test_vocabulary.py": (folder / "contract" / "vocabulary.py").read_text(encoding="utf-8")
        }
        self._fixes = remedies.written()
        self.terms: Mapping[str, dict[str, str]] = yaml.safe_load((DOCS / "words.yaml").read_text(encoding="utf-8"))

    @cached_property
    def codes(self) -> dict[str, Code]:
        """Every code in the order of fixes.yaml; raises IncompleteError when rules and fixes disagree."""
        classes: dict[str, list[type[Rule]]] = {}
        modules = [
            rules.__name__,
            vocabulary.__name__,
            *(import_module(f"services.{name}.decider").__name__ for name in DOMAIN_SERVICES),
        ]
        for rule in sorted(rules.defined(), key=lambda rule: modules.index(rule.__module__)):
            classes.setdefault(_code_of(rule), []).append(rule)
        codes = {
            code: Code(
                code,
                status,
                tuple(classes.get(code, ())),
                given["rule"],
                tuple(given.get("types", ())),
                given["fix"],
            )
            for status, codes in self._fixes.items()
            for code, given in codes.items()
        }
        faults = [f"{code}: no fix in docs/fixes.yaml" for code in classes.keys() - codes.keys()]
        for code in codes.values():
            if not code.classes:
                faults.append(f"{code.code}: no rule of this name")
            faults += [f"{code.code}: no type {name}" for name in code.types if name not in self.types]
        if faults:
            raise IncompleteError("\n".join(sorted(faults)))
        return codes

    def codes_for(self, name: str) -> list[Code]:
        """Return what can refuse a report of a type, beyond what can refuse any."""
        event = self.types[name][1]
        own = {code.code for code in self.codes.values() if name in code.types}
        role = event.role
        if isinstance(role, Opens):
            own.add(role.taken.code)
        if isinstance(role, Ends):
            own |= {"not-open", "ends-before-start", "never-arrived"}
        if isinstance(role, Adds) and role.to:
            own.add("never-arrived")
        if event.ordered:
            own.add("ends-before-start")
        own |= {rule().code_of() for rule in (event.district_only, event.whole_only) if rule is not None}
        if isinstance(role, Retracts):
            own |= {"never-arrived", "already-retracted", "nothing-to-retract", "other-subject", "opened-again"}
        if name in _WAITS_FOR_EVIDENCE:
            own.add("never-arrived")
        return [code for code in self.codes.values() if code.code in own]

    def reports(self, indicator: Indicator) -> list[str]:
        """Return the types that feed an indicator: what ends or undoes them, and what a decision answers, included."""
        facts = dict.fromkeys(_facts_in(indicator.value.model_dump(mode="json")))
        return [name for fact in facts for name in dict.fromkeys([*self._asked_by(fact), fact])]

    def _asked_by(self, name: str) -> Iterator[str]:
        """Yield the report that a decision of a service's own answers: what opens the same subject."""
        language, decision = self.types.get(name, (None, None))
        if language and decision and decision.decision:
            for event in language.events:
                if event.subject == decision.subject and isinstance(event.role, Opens):
                    yield f"{language.service}.{event.type_name}"

    def indicators_of(self, name: str) -> list[Indicator]:
        """Return the indicators that a type feeds."""
        return [indicator for _, indicator in self.plan.indicators.values() if name in self.reports(indicator)]

    def tests_of_type(self, name: str) -> list[str]:
        """Return the test files that speak of a type."""
        event = self.types[name][1]
        return self._naming(event.type_name, event.__name__)

    def tests_of_code(self, code: Code) -> list[str]:
        """Return the test files that speak of a code."""
        names = [rule.__name__ for rule in code.classes]
        if "-" not in code.code:  # a code of one word is also a word
            quoted = f'"{code.code}"', f"'{code.code}'"
            return self._naming(*names, *quoted)
        if "<service>" in code.code:
            names += [code.code.replace("<service>", service) for service in DOMAIN_SERVICES]
        return self._naming(*names, code.code)

    def tests_of_indicator(self, indicator: Indicator) -> list[str]:
        """Return the test files that speak of an indicator, or else of what feeds it."""
        fed_by = [name for name in self.reports(indicator) if name in self.types]
        return self._naming(indicator.id) or sorted({file for name in fed_by for file in self.tests_of_type(name)})

    @cached_property
    def _named(self) -> dict[str, frozenset[str]]:
        """Every word, word with hyphens, quoted word and indicator of each test file."""
        tests = self._tests.items()
        return {file: frozenset(word for form in _FORMS for word in form.findall(text)) for file, text in tests}

    def _naming(self, *names: str) -> list[str]:
        return [file for file, named in self._named.items() if not named.isdisjoint(names)]


# RULES C9: types that wait for what they rest on, though they neither end nor add to it.
_WAITS_FOR_EVIDENCE: Final = frozenset(
    {"recruitment.student-joined-class", "subsidy.subsidy-claimed", "subsidy.allowance-claimed"}
)


def _code_of(rule: type[Rule]) -> str:
    return "send-to-<service>" if rule is rules.SendTo else rule().code_of()


def _facts_in(value: object) -> Iterator[str]:
    """Yield the fact types named anywhere in the value of an indicator."""
    if isinstance(value, list):
        for item in value:
            yield from _facts_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key in ("fact", "ended_by", "undone_by", "named_in"):
                yield item
            else:
                yield from _facts_in(item)
