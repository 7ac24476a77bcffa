"""Asks the logs for the checkpoints that witnesses have cosigned, and waits for them where a month is to be closed."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import httpx
from pydantic import BaseModel, ValidationError

from services.planning.api.context import PlanningContext
from services.planning.events import CosignedCheckpoint
from services.planning.witnessed import LogWitnessed, all_witnessed, lacking, logs_of, sentence
from shared.http import client as http_client
from shared.http.problems import Problem
from shared.log.cosignatures import Malformed, TreeHead, read_checkpoint
from shared.plan.model import Plan

_PATIENCE: Final = 10.0  # seconds until a close says that it waits for witnesses
_PAUSE: Final = 0.5
_ONE_ANSWER: Final = 5.0


class _LogHead(BaseModel):
    position: int


async def look(context: PlanningContext, plan: Plan) -> list[LogWitnessed]:
    """Return how each log that a plan counts from is cosigned now."""
    async with _client(context) as client:
        return all_witnessed(plan, await _checkpoints(client, context, logs_of(plan)))


async def cosigned_checkpoints(context: PlanningContext, plan: Plan) -> list[CosignedCheckpoint]:
    """Return a checkpoint of each log with all that it holds now, cosigned as the plan asks; nothing where it does not.

    Raises Problem 503 that says what is missing, when it is not there in time.
    """
    if plan.witnesses is None:
        return []
    end = asyncio.get_running_loop().time() + _PATIENCE
    names = logs_of(plan)
    async with _client(context) as client:
        reached = await asyncio.gather(*(_position(client, context, log) for log in names))
        positions = dict(zip(names, reached, strict=True))
        while True:
            heads = await _checkpoints(client, context, names)
            logs = all_witnessed(plan, heads)
            short = lacking(plan, logs)
            behind = [log for log in logs if log in short or log.size is None or log.size < positions[log.service]]
            if not behind:
                return [_of(head) for head in heads.values() if head is not None]
            if asyncio.get_running_loop().time() > end:
                raise _waits(behind, plan.witnesses.needed)
            await asyncio.sleep(_PAUSE)


def _waits(behind: Iterable[LogWitnessed], needed: int) -> Problem:
    zh, en = sentence(behind, needed)
    return Problem(
        503,
        f"关账须等见证:{zh}见证恢复后再关账;报送和裁定照常。",
        f"Closing waits for witnesses: {en} Close again once they answer; reporting and deciding go on.",
        retry_after="30",
    )


def _client(context: PlanningContext) -> httpx.AsyncClient:
    return http_client.client(context.settings.api_key.get_secret_value(), context.settings.ca, _ONE_ANSWER)


async def _position(client: httpx.AsyncClient, context: PlanningContext, log: str) -> int:
    try:
        answer = await client.get(f"{context.services[log]}/v1/log/head", params={"settled": "true"})
        return _LogHead.model_validate_json(answer.raise_for_status().content).position
    except (KeyError, httpx.HTTPError, ValidationError):
        raise Problem(
            503, f"暂不能关账:{log} 没有应答,不知其日志到哪里。", f"Not closed: {log} does not say how far its log is.",
            retry_after="30",
        ) from None  # fmt: skip


async def _checkpoints(
    client: httpx.AsyncClient, context: PlanningContext, logs: Sequence[str]
) -> dict[str, TreeHead | None]:
    heads = await asyncio.gather(*(_checkpoint(client, context, log) for log in logs))
    return dict(zip(logs, heads, strict=True))


async def _checkpoint(client: httpx.AsyncClient, context: PlanningContext, log: str) -> TreeHead | None:
    try:
        answer = await client.get(f"{context.services[log]}/v1/log/checkpoint")
        return read_checkpoint(answer.raise_for_status().text)
    except (KeyError, httpx.HTTPError, Malformed):
        return None


def _of(head: TreeHead) -> CosignedCheckpoint:
    _, _, root, *_ = head.text.split("\n")
    return CosignedCheckpoint(origin=head.origin, size=head.size, root=root, signatures=[*head.signatures])
