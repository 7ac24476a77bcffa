"""What would the generation that stands beside the numbers change: which cells, by how much, because of which facts."""

from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from services.projection.counting.difference import Difference
from services.projection.queries.context import context_of
from services.projection.queries.parameters import NAMED

_FILE: Final = "difference.sql"
router = APIRouter(prefix="/v1/difference", tags=["progress"])


class DifferenceBeside(TypedDict):
    """The report on the generation that stands beside; null where none does."""

    difference: Difference | None


@router.get(
    "",
    summary="重建将改变什么 What a rebuild would change",
    description=(
        "`make rebuild BESIDE=1` 之后、决定之前:哪些格会变、变多少、因为哪些事实;没有待定的一代时为 null。"
        "只有计划部门、运维和审计的密钥可以看。\n\n"
        "After `make rebuild BESIDE=1` and until somebody decides: the cells that would change, by how much, because of"
        " which facts; null while no generation stands beside. For the keys of plan office, operators and auditors."
    ),
    response_model=DifferenceBeside,
    responses={503: NAMED[503]},
)
async def get_difference(request: Request) -> Response:
    """Respond with what a generation beside would change."""
    async with context_of(request).reader.view() as view:
        row = await view.connection.fetchrow(view.sql(_FILE)["beside"], view.number)
    # It is stored as it is answered: many thousand cells are not read and written again.
    difference = orjson.Fragment(row["difference"] if row else b"null")
    return Response(orjson.dumps({"difference": difference}), media_type="application/json")
