"""The bytes of an answer are its contract: order of members, numbers, nulls; and its response model names all of it."""

from datetime import UTC, date, datetime
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from services.projection.assessment.assessment import AssessmentBasis, Scope
from services.projection.assessment.targets import Targets
from services.projection.counting.lines import CompiledPlans, Part
from services.projection.counting.periods import month_number
from services.projection.queries.target_progress import IndicatorProgress, progress
from shared.plan.loading import load_plan
from tests.harness.cells import sums_of

PLAN = load_plan(Path(__file__).parents[2] / "plans" / "shaoxing-2023-2025.yaml")
COMPILED = CompiledPlans([PLAN])
ROW = (
    '{"id":"4.1.b","measure":"4.1","name":{"zh":"输送技能人才","en":"Skilled people delivered"},'
    '"unit":"person","kind":"distinct","basis":"annual","periods":[{"period":"2023","from":"2023-01-01",'
    '"to":"2023-12-31","value":495,"numerator":495,"denominator":null,"target":{"op":">=","value":1000,'
    '"upper":null},"met":false,"progress":0.495,"exceeds":false,"expected":750,"signal":"red",'
    '"computable":true,"pace":{"rule":{"id":"behind","zh":"实际值低于时序应达值的 80%。",'
    '"en":"The value is below 80 % of what was expected by the day."},"clause":"4.1","revision":null,"decided":null,'
    '"elapsed":0.75,"weights":[1,1,1,1,1,1,1,1,1,1,1,1],"baseline":null,"expected":750,"ratio":0.66,'
    '"gap":-255,"thresholds":{"green_percent":100,"amber_percent":80},"months_left":3,'
    '"needed_per_month":168.33333333333334,"forecast":{"state":"short","outlook":{"id":"unlikely",'
    '"zh":"照最近 6 个整月推算,很可能达不到:估计区间都不够目标。",'
    '"en":"Going on like the last 6 full months, it will very likely be missed: so says the whole range."},'
    '"value":664,"low":660,"high":669,"per_month":56.5,"months":6,"reached_on":null}}}]}'
)


def encoded() -> bytes:
    """Return the row of 4.1.b after nine months of 51, 52, … hires in one district."""
    (line,) = COMPILED.of_indicator[PLAN.id, "4.1.b"]
    months = {month_number(date(2023, month, 1)): 50 + month for month in range(1, 10)}
    sums = sums_of(PLAN, {(line.number, int(Part.NUM), 2023, "330602"): months})
    scope = Scope(date(2023, 9, 30), datetime(2025, 6, 1, tzinfo=UTC))
    basis = AssessmentBasis(PLAN, COMPILED, Targets(PLAN), sums, scope)
    return orjson.dumps(next(row for row in progress(basis)["indicators"] if row["id"] == "4.1.b"))


def test_a_row_of_progress_is_these_bytes() -> None:
    assert encoded().decode() == ROW


def test_a_row_of_progress_is_as_its_response_model_says() -> None:
    model = TypeAdapter(IndicatorProgress)
    row = model.validate_json(encoded(), strict=True)
    assert row == orjson.loads(ROW)  # a member that the model does not name would be gone
