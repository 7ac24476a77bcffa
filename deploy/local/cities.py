"""Further cities on the servers of an installation: plans, keys and ports in a state folder each, names of their own.

What a city is to the servers is its name alone: databases, roles and topics begin with it (`Installation.database`,
`Broker.named`). Everything else that is done to an installation is done to a city by its folder.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from deploy.kafka import topics
from deploy.local import databases
from deploy.local.installation import Installation, is_there, load
from deploy.local.refusal import LocalError
from services.catalogue import SERVICES, WITH_DATABASE
from shared.kafka.clients import BrokerSettings
from shared.plan.loading import PlanError, load_plan

_NAME: Final = re.compile(next(it.pattern for it in BrokerSettings.model_fields["namespace"].metadata))
# A name of the contract that a city were called like would look like what is the city's.
_TAKEN: Final = frozenset((*SERVICES, "receipts", "quarantine", "sandbox", "skillplan"))


def begin(host: Installation, name: str, plans: Path | None) -> Path:
    """Make the state folder of a city, or give it other plans, and return it; raises LocalError.

    `plans`: a plan file or a folder of some. They stay where they are: what changes in them, `up` takes up.
    """
    if host.city:
        raise LocalError(
            f"{host.state} 自己就是一个市。", f"{host.state} is a city itself: name the one that it is in."
        )
    if not name or not _NAME.fullmatch(name) or name in _TAKEN:
        raise LocalError(
            f"市的名称须为 2 至 20 个小写字母或数字,以字母开头,且不同于服务和主题的名称:{name or '–'}。",
            f"A city is named by 2 to 20 lower-case letters or digits, a letter first, and by no name of ours: {name}.",
        )
    folder = host.state / "cities" / name
    city = load(folder) if is_there(folder) else Installation(folder, city=name)
    if plans is None:
        if not is_there(folder):
            raise LocalError("请指明计划:PLAN=<文件或文件夹>。", "Name its plan: PLAN=<a file or a folder>.")
        return folder
    files = sorted(plans.glob("*.yaml")) if plans.is_dir() else [plans]
    try:
        for file in files:
            load_plan(file)
    except OSError as error:
        raise LocalError(f"读不了 {plans}:{error.strerror}。", f"{plans} cannot be read: {error.strerror}.") from None
    except PlanError as error:
        raise LocalError(f"计划有误:{error}", "The plan is wrong (see above); nothing was changed.") from None
    if not files:
        raise LocalError(f"{plans} 中没有计划文件。", f"There is no plan file in {plans}.")
    city.plans.mkdir(parents=True, exist_ok=True)
    _link(city.plans, files)
    if not is_there(folder):
        city.save()
    return folder


def _link(folder: Path, files: Iterable[Path]) -> None:
    """Have a folder show these files and no others."""
    for old in folder.iterdir():
        old.unlink()
    for file in files:
        (folder / file.name).symlink_to(file.resolve())


def remove_from_servers(city: Installation) -> None:
    """Drop what a city has on the servers, which have to run: databases, roles, topics, and with them its offsets."""
    try:
        names = [city.database(service) for service in WITH_DATABASE]
        asyncio.run(databases.drop_databases(city.superuser, names))
        asyncio.run(topics.delete_all(city.broker))
    except (OSError, asyncpg.PostgresError, KafkaError) as error:
        raise LocalError(
            f"没能从服务器上删净({type(error).__name__}),文件夹留着:请再执行一次。",
            f"Not all of it could be removed from the servers ({type(error).__name__}); run it again.",
        ) from error
