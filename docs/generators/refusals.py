"""docs/refusals.md: every refusal code with both texts, its remedy, its rule, and the tests that speak of it."""

from __future__ import annotations

from typing import Final

from docs.generators.catalogue import Catalogue, IncompleteError
from docs.generators.markdown import render, type_link

_STATUSES: Final = {
    "invalid": ("未能理解", "not understood; the id is free, repair it and send it again under the same id"),
    "misdirected": ("发错服务", "the type belongs to another service; the id is free"),
    "refused": ("违反规则", "understood, and against a rule; final, so report again under a new id"),
}


def refusals(catalogue: Catalogue) -> str:
    """Return docs/refusals.md; raises IncompleteError for a code that no test speaks of."""
    codes = list(catalogue.codes.values())
    tests = {code.code: catalogue.tests_of_code(code) for code in codes}
    if untested := [code for code, files in tests.items() if not files]:
        raise IncompleteError("\n".join(f"{code}: no test speaks of it" for code in untested))
    types = {
        code.code: [type_link(name) for name in catalogue.types if code in catalogue.codes_for(name)] for code in codes
    }
    return render("refusals.md", statuses=_STATUSES, codes=codes, types=types, tests=tests)
