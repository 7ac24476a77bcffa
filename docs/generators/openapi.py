"""Writes the shapes of the projection's API for the dashboard, whose build makes its types of them.

`python -m docs.generators.openapi` brings the file up to date. It has routes, parameters and schemas, and neither texts
nor examples, so that it changes only when the types do.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from services.projection.api import create_app
from shared.observability.health import Health
from shared.observability.metrics import Metrics

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "services" / "projection" / "dashboard" / "openapi.json"
_TEXTS: Final = frozenset({"description", "summary", "title", "example", "examples"})
# Below these keys stand names of fields, routes and schemas, which may be called like a text.
_NAMED: Final = frozenset({"properties", "paths", "schemas"})


def page() -> str:
    """Return the content of the file."""
    return json.dumps(_shape(asyncio.run(_document())), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


async def _document() -> dict[str, Any]:
    pool = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)  # never connects
    async with httpx.AsyncClient() as client:
        return create_app(pool, {}, client, Metrics("projection", "api", Health()), b"").openapi()


def _shape(node: Any, named: bool = False) -> Any:
    if isinstance(node, dict):
        return {
            key: _shape(value, key in _NAMED and not named) for key, value in node.items() if named or key not in _TEXTS
        }
    return [_shape(part) for part in node] if isinstance(node, list) else node


def main() -> None:
    """Write it."""
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
