"""The JSON Schema of a plan file is up to date, takes every plan there is, and refuses a misspelt one."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs.generators.pages import PLAN_SCHEMA, plan_schema
from tests.conftest import ROOT

PLANS = [*(ROOT / "plans").glob("*.yaml"), *(ROOT / "tests" / "harness" / "plans").glob("*.yaml")]


def _as_json(plan: Path) -> Any:
    """Return a plan as an editor sees it: dates are text."""
    return json.loads(json.dumps(yaml.safe_load(plan.read_text(encoding="utf-8")), default=str))


def test_the_schema_is_up_to_date() -> None:
    assert PLAN_SCHEMA.read_text(encoding="utf-8") == plan_schema(), "make docs"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
def test_every_plan_fits_the_schema(plan: Path) -> None:
    jsonschema.validate(_as_json(plan), json.loads(plan_schema()))


def test_a_misspelt_key_does_not() -> None:
    given = _as_json(PLANS[0])
    given["perod"] = given.pop("period")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, json.loads(plan_schema()))
