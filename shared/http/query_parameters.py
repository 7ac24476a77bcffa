"""Query parameters: one that a route does not have, or that is there twice, is an error, whatever the route."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast
from weakref import WeakSet

from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import Problem, language_in
from shared.http.route_names import each_route

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant
    from fastapi.routing import RouteContext

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., object])
ELSEWHERE: Final[WeakSet[Callable[..., object]]] = WeakSet()  # endpoints whose query another service judges
_TWICE: Final = Problem(422, "同一个查询参数写了几次;请只写一次。", "A query parameter is there twice; give it once.")


def judged_elsewhere(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint that passes requests on as they are: the service behind it judges their query."""
    ELSEWHERE.add(endpoint)
    return endpoint


class _Route(NamedTuple):
    pattern: re.Pattern[str]
    methods: frozenset[str]  # none: every one
    known: frozenset[str] | None  # the names of its parameters; None where another service judges them
    endpoint: object


class KnownParameters:
    """ASGI middleware: refuses a query that the route would leave unread.

    What is left unread misleads: `?dry_run=true` would be decided for good, `?asof=` answered for today, the first of
    two days for the second. Reads the routes when it is made.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes = [_read(route) for route in each_route(getattr(app, "routes", ()))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"]:
            problem = self._judge(scope)
            if problem is not None:
                await problem.response(language_in(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _judge(self, scope: Scope) -> Problem | None:
        method, path = scope["method"], scope["path"]
        taken = next(
            (r for r in self._routes if (not r.methods or method in r.methods) and r.pattern.match(path)), None
        )
        if taken is None or taken.known is None:
            return None  # the app says that nothing is there, or passes it on
        known = taken.known
        scope["endpoint"] = taken.endpoint  # by which logs and metrics name the route
        given = QueryParams(scope["query_string"])
        if not given.keys() <= known:
            return _unknown(sorted(known))
        return _TWICE if len(given.multi_items()) > len(given) else None


def _unknown(known: list[str]) -> Problem:
    if not known:
        return Problem(422, "这个地址没有查询参数。", "This address takes no query parameters.")
    return Problem(
        422,
        f"有这里没有的查询参数;可用的:{'、'.join(known)}。",
        f"A query parameter that is not known here; known are: {', '.join(known)}.",
    )


def _read(route: BaseRoute | RouteContext) -> _Route:
    endpoint = getattr(route, "endpoint", None)
    if endpoint is not None and endpoint in ELSEWHERE:
        known = None
    else:
        dependant: Dependant | None = getattr(route, "dependant", None)  # Starlette's routes have none, and read none
        known = frozenset(_names(dependant)) if dependant else frozenset()
    pattern = cast("Route", route).path_regex  # every kind of them has one
    return _Route(pattern, frozenset(getattr(route, "methods", None) or ()), known, endpoint)


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for each in dependant.dependencies:
        yield from _names(each)
