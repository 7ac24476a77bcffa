"""Whether the logs that a month's figures come from are cosigned as its plan asks. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from services.planning.events import CosignedCheckpoint
from shared.log.cosignatures import Cosigner, TreeHead
from shared.plan.model import Plan
from shared.plan.parts import Name
from shared.plan.witnesses import Witnesses

_COUNTED_FROM: Final = re.compile(r'"fact":"([a-z]+)\.')


class LogWitnessed(NamedTuple):
    """How far a log is cosigned, and whose cosignatures are there or missing; `size`: None where it did not answer."""

    service: str
    size: int | None
    by: Sequence[Name]
    missing: Sequence[Name]


def logs_of(plan: Plan) -> list[str]:
    """Return the services from whose logs a plan counts."""
    return sorted(set(_COUNTED_FROM.findall(plan.model_dump_json())))


def service_of(origin: str) -> str:
    """Return the service whose log an origin names, empty where it names none."""
    return origin.split("/")[1] if origin.startswith("skillplan/") else ""


def witnessed(witnesses: Witnesses, service: str, head: TreeHead | None) -> LogWitnessed:
    """Return who of a plan's witnesses has cosigned the checkpoint of a service's log."""
    if head is None or service_of(head.origin) != service:
        return LogWitnessed(service, None, (), [witness.name for witness in witnesses.of])
    cosigned = {
        witness.key for witness in witnesses.of if Cosigner(witness.key).cosigned_at(head.text, head.signatures)
    }
    by = [witness.name for witness in witnesses.of if witness.key in cosigned]
    return LogWitnessed(service, head.size, by, [each.name for each in witnesses.of if each.key not in cosigned])


def all_witnessed(plan: Plan, heads: Mapping[str, TreeHead | None]) -> list[LogWitnessed]:
    """Return how each log that a plan counts from is cosigned; nothing where the plan asks for no witnesses."""
    return [witnessed(plan.witnesses, log, heads.get(log)) for log in logs_of(plan)] if plan.witnesses else []


def lacking(plan: Plan, logs: Iterable[LogWitnessed]) -> list[LogWitnessed]:
    """Return the logs with fewer cosignatures than the plan needs."""
    return [log for log in logs if plan.witnesses and len(log.by) < plan.witnesses.needed]


def heads_of(checkpoints: Iterable[CosignedCheckpoint]) -> dict[str, TreeHead]:
    """Return the checkpoints of a close by service."""
    heads = [TreeHead(each.origin, each.size, b"", each.text, tuple(each.signatures)) for each in checkpoints]
    return {service_of(head.origin): head for head in heads}


def sentence(logs: Iterable[LogWitnessed], needed: int) -> tuple[str, str]:
    """Return what is missing, in both languages."""
    zh, en = [], []
    for log in logs:
        away = ("、".join(name.zh for name in log.missing), ", ".join(name.en for name in log.missing))
        zh.append(f"{log.service} 的日志有 {len(log.by)} 份(到位置 {log.size or 0}),尚缺 {away[0] or '其后的'}")
        en.append(
            f"the log of {log.service} has {len(log.by)} (to {log.size or 0}), without {away[1] or 'what is later'}"
        )
    return f"须有 {needed} 份见证副署:{';'.join(zh)}。", f"{needed} cosignatures are needed: {'; '.join(en)}."
