"""Writes the pages that follow from the code and the plan: docs/measures.md, docs/refusals.md, docs/types.

`python -m docs.generators.pages` brings them up to date. It refuses a measure of which a clause, a report type, a
rule, an indicator or a test is missing, and a refusal code without a remedy or a test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from docs.generators.catalogue import DOCS, LANGUAGES, ROOT, Catalogue, IncompleteError
from docs.generators.measures import measures
from docs.generators.refusals import refusals
from docs.generators.types import service_types, types
from shared.plan.model import Plan

PLAN_SCHEMA: Final = ROOT / "plans" / "plan.schema.json"
PAGES: Final[Mapping[str, Callable[[Catalogue], str]]] = {
    "measures.md": measures,
    "refusals.md": refusals,
    "types.md": types,
} | {f"types/{language.service}.md": partial(service_types, language) for language in LANGUAGES}


def plan_schema() -> str:
    """Return the JSON Schema of a plan file, for editors that complete and check while one writes."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "计划 Plan"}
    return json.dumps(head | Plan.model_json_schema(by_alias=True), ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    """Write the pages, or say what is missing."""
    catalogue = Catalogue()
    try:
        pages = {name: write(catalogue) for name, write in PAGES.items()}
    except IncompleteError as error:
        sys.stderr.write(f"{error}\n不完整,未生成。 Incomplete; nothing was written.\n")
        return 1
    for name, text in pages.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    PLAN_SCHEMA.write_text(plan_schema(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
