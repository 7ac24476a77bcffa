"""How far is the log of each service counted: whether the numbers are complete."""

from collections.abc import Mapping
from typing import Final, cast

from fastapi import APIRouter, Request, Response

from services.projection.assessment.representation import AssessedAnswer, LogProgress
from services.projection.exports.csv import Row, columns_of
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, Form, PlanNamed

_COLUMNS: Final = ("service", *columns_of(LogProgress))
router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


def _rows(answer: Mapping[str, object]) -> list[Row]:
    logs = cast("Mapping[str, LogProgress]", answer["complete_to"])
    return [{"service": service, **log} for service, log in logs.items()]


@router.get(
    "/{plan}/logs",
    summary="各服务的日志计到哪里 How far each log is counted",
    description=(
        "各服务的日志计到的位置、时刻,还差多少。\n\n"
        "The position and instant to which each service's log is counted, and how much is still to come."
    ),
    response_model=AssessedAnswer,
    responses=RESPONSES,
)
async def get_logs(request: Request, plan: PlanNamed, form: Form = "json") -> Response:
    """Respond with how far each log is counted."""
    question = Question(("logs",), plan, None, None)
    return await context_of(request).respond_table(question, pure(lambda _: {}), form, _rows, _COLUMNS)
