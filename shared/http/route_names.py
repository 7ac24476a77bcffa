"""Names of an app's routes for logs and metrics: templates of paths, since a path itself may quote anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

if TYPE_CHECKING:
    from fastapi.routing import RouteContext

_OTHER: Final = "other"  # unknown paths share one name; each would be a series of its own


class RouteNames:
    """The whole template of each route of an app, those of included routers among them, which know only their part."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        each = [(str(getattr(route, "path", None) or _OTHER), route) for route in each_route(routes)]
        self.all = frozenset(name for name, _ in each)
        self._matches = [(name, route.matches) for name, route in each]
        # FastAPI says which route it took, Starlette which endpoint.
        self._names = {
            id(getattr(route, attribute, route)): name
            for name, route in each
            for attribute in ("original_route", "endpoint")
        }

    def taken(self, scope: Scope) -> str:
        """Name the route by which the app answered a request."""
        return self._names.get(id(scope.get("route", scope.get("endpoint"))), _OTHER)

    def wanted(self, scope: Scope) -> str:
        """Name the route that a request was for, which was refused before the app saw it."""
        for name, matches in self._matches:
            match, _ = matches(scope)
            if match is not Match.NONE:
                return name
        return _OTHER


def each_route(routes: Sequence[BaseRoute]) -> Iterable[BaseRoute | RouteContext]:
    """Yield each route of an app, those of included routers among them, with its whole path."""
    if all(hasattr(route, "path") for route in routes):
        return routes
    from fastapi.routing import iter_route_contexts  # noqa: PLC0415 - a worker, which has none, starts sooner

    return iter_route_contexts(routes)
