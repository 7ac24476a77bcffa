"""How far is the log of each service counted: whether the numbers are complete."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, cast

from fastapi import APIRouter, Request, Response

from services.projection.assessment.representation import AssessedAnswer, LogProgress
from services.projection.exports.csv import Row, columns_of
from services.projection.exports.names import NAMES, name_of
from services.projection.exports.sheets import Cell, ListingColumn, listed
from services.projection.exports.texts import Language
from services.projection.queries.cache import Conditional
from services.projection.queries.context import Question, context_of, pure
from services.projection.queries.parameters import RESPONSES, Lang, ListingForm, PlanNamed, language_of

_Log = tuple[str, LogProgress]  # a service and how far its log is counted
_COLUMNS: Final = ("service", *columns_of(LogProgress))
router = APIRouter(prefix="/v1/plans", tags=["pace"], route_class=Conditional)


def _columns(language: Language) -> Sequence[ListingColumn[_Log]]:
    """Return the columns of a listing to read."""

    def complete(log: _Log) -> Cell:
        behind = log[1]["behind_events"]
        return None if behind else NAMES["health.no_answer" if behind is None else "health.complete"][language]

    def last(log: _Log) -> Cell:
        recorded_at = log[1]["recorded_at"]
        return datetime.fromisoformat(recorded_at) if recorded_at else None

    return (
        ListingColumn(NAMES["health.service"], 30, lambda log: name_of("service", log[0], language)),
        ListingColumn(NAMES["health.counted"], 16, lambda log: log[1]["position"]),
        ListingColumn({"zh": "最近一条记录于(北京时间)", "en": "Last one recorded at (Beijing time)"}, 26, last),
        ListingColumn({"zh": "待计入(条)", "en": "To be counted"}, 16, lambda log: log[1]["behind_events"]),
        ListingColumn({"zh": "滞后(秒)", "en": "Seconds behind"}, 16, lambda log: log[1]["behind_seconds"]),
        ListingColumn(NAMES["health.behind"], 16, complete),
    )


def _rows(answer: Mapping[str, object]) -> list[Row]:
    logs = cast("Mapping[str, LogProgress]", answer["complete_to"])
    return [{"service": service, **log} for service, log in logs.items()]


@router.get(
    "/{plan}/logs",
    summary="各服务的日志计到哪里 How far each log is counted",
    description=(
        "各服务的日志计到的位置、时刻,还差多少。XLSX 供人阅读,CSV 供程序导入。\n\n"
        "The position and instant to which each service's log is counted, and how much is still to come. XLSX is to"
        " read, CSV to import."
    ),
    response_model=AssessedAnswer,
    responses=RESPONSES,
)
async def get_logs(request: Request, plan: PlanNamed, form: ListingForm = "json", lang: Lang = None) -> Response:
    """Respond with how far each log is counted."""
    question = Question(("logs",), plan, None, None)
    context = context_of(request)
    if form != "xlsx":
        return await context.respond_table(question, pure(lambda _: {}), form, _rows, _COLUMNS)
    language = language_of(request, lang)
    body = await context.read(question, pure(lambda _: {}))
    logs = [*cast("Mapping[str, LogProgress]", body["complete_to"]).items()]
    return await listed(logs, _columns(language), NAMES["health.logs"][language], language, f"{plan}-logs.xlsx")
