"""Names of an app's routes for logs and metrics: templates of paths, since a path itself may quote anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

_OTHER: Final = "other"  # unknown paths share one name; each would be a series of its own


class RouteNames:
    """The whole template of each route of an app, those of included routers among them, which know only their part."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._contexts = tuple(iter_route_contexts(routes))
        self.all = frozenset(context.path or _OTHER for context in self._contexts)
        # FastAPI says which route it took, Starlette which endpoint.
        self._names = {
            id(taken): context.path or _OTHER
            for context in self._contexts
            for taken in (context.original_route, context.endpoint)
        }

    def taken(self, scope: Scope) -> str:
        """Name the route by which the app answered a request."""
        return self._names.get(id(scope.get("route", scope.get("endpoint"))), _OTHER)

    def wanted(self, scope: Scope) -> str:
        """Name the route that a request was for, which was refused before the app saw it."""
        for context in self._contexts:
            match, _ = context.matches(scope)
            if match is not Match.NONE:
                return context.path or _OTHER
        return _OTHER
