"""The gateway's routes: reports and receipts of all services, and whatever else they answer, passed on."""

import secrets
from collections.abc import Sequence

from fastapi import FastAPI, Request, Response

from services.gateway import forms, logs, receipts, reports, sessions, validation
from services.gateway.openapi import add_description, service_of
from services.gateway.sessions import Sessions
from services.gateway.tables import routes as tables
from services.gateway.upstream import Upstream
from shared.http.openapi import describe
from shared.http.problems import answer_problems
from shared.http.query_parameters import judged_elsewhere
from shared.observability.metrics import Metrics
from shared.plan.model import Plan
from shared.process.process import add_probes


def create_app(
    upstream: Upstream, metrics: Metrics, plans: Sequence[Plan] = (), browsers: Sessions | None = None
) -> FastAPI:
    """Return the gateway: its own routes, and the ones of the services behind it.

    `plans`: by which tables are checked. `browsers`: their sessions; without them new ones, of this app alone.
    """
    app = FastAPI(
        title="Skillplan", version="1", summary="一个地址 One address of all services",
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False,
    )  # fmt: skip
    answer_problems(app)
    describe(app, "gateway")
    for part in (reports, validation, receipts, logs):
        app.include_router(part.router_of(upstream))
    app.include_router(sessions.router_of(browsers or Sessions(secrets.token_bytes(32))))
    app.include_router(tables.router_of(plans))
    app.include_router(forms.router_of())
    add_description(app, upstream)
    add_probes(app, metrics)

    # Last, since it takes whatever is left.
    @judged_elsewhere
    async def pass_on(request: Request) -> Response:
        return await upstream.forward(request, service_of(request.method, request.url.path))

    app.router.add_route(
        "/{path:path}", pass_on, methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    return app
