"""HTTP API of planning: the plans and their targets, a month's state, closing a month with the projection's figures."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request

from services.planning.api import differences, months, plans, publication, targets, workbook
from services.planning.api.context import PlanningContext
from shared.plan.loading import load_plans
from shared.process.settings import Settings
from shared.service.http_reports import ReportIntake, Routes


def routes(settings: Settings, projection: str, services: Mapping[str, str]) -> Routes:
    """Return planning's own routes.

    `projection`: address of the service that has the figures, empty when not set. `services`: those of the services
    from whose logs they come, by name.
    """

    def with_intake(intake: ReportIntake) -> APIRouter:
        plans_by_id = {plan.id: plan for plan in load_plans(settings.plans)}
        context = PlanningContext(intake, settings, projection, services, plans_by_id)

        async def provide(request: Request) -> None:
            request.state.planning = context

        router = APIRouter(dependencies=[Depends(provide)])
        for part in (plans, targets, workbook, differences, months, publication):
            router.include_router(part.router, prefix="/v1/plans", tags=["planning"])
        return router

    return with_intake
