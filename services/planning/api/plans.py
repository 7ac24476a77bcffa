"""`GET /v1/plans`: the plans, and what of them is adopted."""

from fastapi import APIRouter, Request

from services.planning.api.context import AWAY_RESPONSE, Context
from services.planning.api.decisions import Body, Decision
from services.planning.targets_in_force import History
from shared.http.visibility import Visibility, visibility_of
from shared.plan.model import Plan
from shared.plan.parts import Name

router = APIRouter()


class PlanFile(Body):
    """The plan file that the services count by; `differs`: it is not what was adopted."""

    sha256: str
    differs: bool


class _AdoptedDocument(Body):
    sha256: str


class Adoption(Decision, _AdoptedDocument):
    """The last adoption, with the digest of the document that it adopted."""


class PlanState(Body):
    """A plan: its file, and its last adoption."""

    plan: str
    title: Name
    file: PlanFile
    adopted: Adoption | None


class PlanStates(Body):
    """All plans."""

    plans: list[PlanState]


def summary_of(plan: Plan, history: History, visibility: Visibility) -> PlanState:
    """Return how a plan stands, as far as a caller may see it."""
    adopted = history.adopted
    return PlanState(
        plan=plan.id,
        title=plan.title,
        file=PlanFile(sha256=plan.digest, differs=adopted is not None and adopted.digest != plan.digest),
        adopted=None if adopted is None else Adoption.of(history.adoptions[-1], visibility, sha256=adopted.digest),
    )


@router.get(
    "",
    summary="各计划及其采用情况 The plans, and what of them is adopted",
    description="`differs`:文件与已采用的不同。\n\n`differs`: the file is not what was adopted.",
    responses=AWAY_RESPONSE,
    response_model_exclude_unset=True,
)
async def get_plans(request: Request, context: Context) -> PlanStates:
    """Return all plans."""
    view = await context.view()
    return PlanStates(
        plans=[
            summary_of(plan, History(plan, view), visibility_of(request, plan.successors))
            for plan in context.plans.values()
        ]
    )
