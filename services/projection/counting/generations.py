"""Generations of the numbers: each a set of tables of its own, counted by one set of plans; one of them is read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg
import orjson

from services.projection.counting import withheld
from services.projection.counting.lines import CompiledPlans, Line
from shared.log.event_store import read_queries
from shared.plan.model import Plan

_PACKAGE: Final = "services.projection.counting"
_OWN_TABLES: Final = "store.sql"
_INDEXING_SECONDS: Final = 3600
_SQL: Final = read_queries(_PACKAGE, "generations.sql")


@dataclass(frozen=True, slots=True)
class CurrentGeneration:
    """The generation that is read, and the plans it was counted by."""

    number: int
    digest: str
    revision: int


async def current(connection: asyncpg.Connection) -> CurrentGeneration | None:
    """Return the generation that is read, None before the first."""
    row = await connection.fetchrow(_SQL["current"])
    return CurrentGeneration(row["number"], row["digest"], row["revision"]) if row else None


def digest(compiled: CompiledPlans) -> str:
    """Return a fingerprint of all that decides the numbers: what the plans count, and the code that counts it.

    A rebuild too many costs minutes; one too few is a wrong number.
    """
    return hashlib.sha256(f"{compiled.digest} {_counting()}".encode()).hexdigest()


@cache
def _counting() -> str:
    return digest_of(resources.files(_PACKAGE))


def digest_of(folder: Traversable) -> str:
    """Return a fingerprint of all code and SQL in a folder."""
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith((".py", ".sql")))
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in files)).hexdigest()


async def head_held(connection: asyncpg.Connection) -> int | None:
    """Return the generation that is read, which stays so until the transaction ends."""
    number: int | None = await connection.fetchval(_SQL["hold"])
    return number


async def create(connection: asyncpg.Connection, compiled: CompiledPlans, *, indexed: bool = True) -> int:
    """Make the empty tables of a new generation and return its number.

    `indexed`: with all that reading them needs; else `index` makes that, and facts may be set aside.
    """
    async with connection.transaction():
        number: int = await connection.fetchval(_SQL["begin"], digest(compiled), _documents(compiled))
        sql = of_generation(number)
        await connection.execute(sql["create"])
        await connection.execute(
            sql["lines"], orjson.dumps([_line(compiled, line) for line in compiled.lines]).decode()
        )
        if indexed:
            await index(connection, number)
        else:
            await connection.execute(sql["set_aside"])
    return number


async def index(connection: asyncpg.Connection, number: int, *names: str) -> None:
    """Make what indexes a generation lacks; rows that are there already are sorted, which takes a quarter of the time.

    Where the indexes are larger than the database's memory it takes far less.
    """
    for name in names or ("index_standing", "index_contribution"):
        await connection.execute(of_generation(number)[name], timeout=_INDEXING_SECONDS)


def _line(compiled: CompiledPlans, line: Line) -> dict[str, object]:
    period = compiled.plans[line.plan].period
    return {
        "number": line.number,
        "plan": line.plan,
        "indicator": line.indicator,
        "part": line.part,
        "first": period.first,
        "last": period.last,
    }


async def switch(connection: asyncpg.Connection, number: int) -> None:
    """Let everybody read another generation from now on, and drop all others."""
    async with connection.transaction():
        await connection.execute(_SQL["switch"], number)
        await withheld.settle(connection)
    for (old,) in await connection.fetch(_SQL["others"], number):
        await discard(connection, old)


async def discard(connection: asyncpg.Connection, number: int) -> None:
    """Drop a generation that nobody reads."""
    async with connection.transaction():
        await connection.execute(of_generation(number)["drop"])
        await connection.execute(_SQL["forget"], number)


async def plans_of(connection: asyncpg.Connection, number: int) -> tuple[Plan, ...]:
    """Return the plans that a generation is counted by."""
    return read_plans(await connection.fetchval(_SQL["plans"], number))


async def update_plans(connection: asyncpg.Connection, number: int, compiled: CompiledPlans) -> None:
    """Let readers see names, clauses and targets as the plan files have them now."""
    await connection.execute(_SQL["plans_changed"], number, _documents(compiled))


def _documents(compiled: CompiledPlans) -> str:
    return orjson.dumps([plan.model_dump(mode="json", by_alias=True) for plan in compiled.plans.values()]).decode()


def read_plans(documents: str) -> tuple[Plan, ...]:
    """Return the plans that are stored with a generation."""
    return tuple(Plan.model_validate(document) for document in orjson.loads(documents))


@cache
def of_generation(number: int, package: str = _PACKAGE, file: str = _OWN_TABLES) -> Mapping[str, str]:
    """Return the queries of a .sql file on the tables of one generation: `g.` stands for its prefix, as does `g_`."""
    queries = read_queries(package, file)
    return {
        name: query.replace(" g.", f" numbers.g{number}_").replace(" g_", f" g{number}_")
        for name, query in queries.items()
    }
