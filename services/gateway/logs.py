"""The logs of the services, each below its name: whoever checks a log needs the one address alone."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from services.gateway.upstream import Upstream, away, target_of
from shared.contract.messages import LogPage
from shared.http.openapi import Responses, problem_response
from shared.http.problems import Problem
from shared.http.query_parameters import judged_elsewhere

_NO_SERVICE: Final = Problem(404, "没有这个服务。", "There is no such service.")
_SAID: Final = (
    "`/services/<服务>` 之后与该服务自己的路径相同(`/v1/log`、`/v1/log/head`、`/v1/log/checkpoint`、`/v1/log/tile/…`),"
    "答复和权限也相同;`verify.py` 的地址填 `…/services/<服务>`。\n\n"
    "After `/services/<service>` the paths are the service's own (`/v1/log`, `/v1/log/head`, `/v1/log/checkpoint`,"
    " `/v1/log/tile/…`), and so are answers and rights; `verify.py` takes `…/services/<service>` as its address."
)
_Service = Annotated[str, Path(description="服务 the service, such as enrollment")]
_What = Annotated[str, Path(description="该服务 /v1/log/ 之后的路径 what follows /v1/log/ at the service")]


def router_of(upstream: Upstream) -> APIRouter:
    """Return the routes; the parameters are for the service itself to judge."""
    router = APIRouter(tags=["log"])

    async def ask(request: Request, service: str) -> Response:
        if service not in upstream.services:
            raise _NO_SERVICE
        return await upstream.forward(request, service, target=target_of(request.scope).partition(f"/{service}")[2])

    responses: Responses = {
        404: problem_response(_NO_SERVICE, "没有这个服务 No such service"),
        503: problem_response(away(["recruitment"]), "该服务没有应答 It does not answer"),
    }

    @router.get(
        "/services/{service}/v1/log",
        summary="某服务的事实 The facts of a service",
        description=_SAID,
        response_model=LogPage,
        responses=responses,
    )
    @judged_elsewhere
    async def get_log(request: Request, service: _Service) -> Response:
        return await ask(request, service)

    @router.get(
        "/services/{service}/v1/log/{what:path}",
        summary="某服务日志的检查点、分块和证明 Checkpoint, tiles and proofs of a service's log",
        description=_SAID,
        response_class=Response,
        responses=responses | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    @judged_elsewhere
    async def get_of_log(request: Request, service: _Service, what: _What) -> Response:
        return await ask(request, service)

    return router
