"""Drives the services' command handlers in process: reports in, receipts and facts out, no Kafka.

The log is in memory, or in PostgreSQL where a test is parametrised with `ON_POSTGRES` or `types`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio

from services.catalogue import COUNTED, DOMAIN_SERVICES
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import Fact
from shared.deciding.facts import StreamCache, decode_fact
from shared.deciding.view import View
from shared.log.event_store import EventStore, open_pool
from shared.log.sealing import Seal
from shared.plan.loading import load_plans
from shared.plan.model import districts_by_waiting_days
from shared.service.command_handler import CommandHandler
from shared.service.http_reports import create_app
from tests.contract.vocabulary import ONLY_THE_CITY, VOCABULARY
from tests.harness import people
from tests.harness.in_memory_log import InMemoryLog
from tests.harness.languages import DISTRICTS, LANGUAGES, sample
from tests.integration.conftest import Template, fresh_databases

PLANS: Final = Path(__file__).resolve().parents[2] / "plans"
SOURCE: Final = "/districts/330681/sample"
CITY: Final = "/districts/330600/sample"
LATER: Final = "2024-12-15"  # after every sample's opening
ReportFields = dict[str, Any]
Receipt = dict[str, Any]

# What must stand before a type's sample can be accepted: (service, type), in order; for subsidy evidence from others.
FIRST: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "title-conferred": (("competition", "title-series-opened"),),
    "student-joined-class": (("recruitment", "cooperation-class-opened"),),
    "subsidy-claimed": (
        ("competition", "certificate-issued"),
        ("subsidy", "standard-set"),
        ("subsidy", "catalogue-published"),
    ),
    "allowance-claimed": (("competition", "certificate-issued"), ("subsidy", "catalogue-published")),
    "credit-line-requested": (("competition", "honour-conferred"),),
    "subsidy-recovered": (("subsidy", "subsidy-claimed"), ("subsidy", "subsidy-paid")),
}


@cache
def plans() -> Any:
    """Return the plans the services run by."""
    return load_plans(PLANS)


def opening_of(service: str, name: str) -> str | None:
    """Return the type that a type ends or adds to, None for the others."""
    row = VOCABULARY[service][name]
    return row.role.split(" ")[-1] if row.role.startswith(("ends ", "voids ", "adds ")) else None


def prerequisites(service: str, name: str) -> list[tuple[str, str]]:
    """Return the types whose samples must be accepted before this one's, in order."""
    opening = opening_of(service, name)
    direct = [*FIRST.get(name, ()), *([(service, opening)] if opening else [])]
    return list(dict.fromkeys(p for d in direct for p in (*prerequisites(*d), d)))


def report(
    service: str,
    name: str,
    id_: str | None = None,
    on: str | None = None,
    *,
    subject: str | None = None,
    corrects: str | None = None,
    source: str | None = None,
    **data: Any,
) -> ReportFields:
    """Return a type's sample under another id, on another day, with other data; None takes a field away.

    `source`: a district's, or the city's for what only the city may report.
    """
    sent = deepcopy(sample(service, name))
    if on is None and VOCABULARY[service][name].role.startswith(("ends ", "voids ")):
        on = LATER
    sent["id"] = id_ or f"{service}-{name}"
    sent["source"] = source or (CITY if name in ONLY_THE_CITY else SOURCE)
    sent["district"] = sent["source"].split("/")[2]
    if subject is not None:
        sent["subject"] = subject
    if corrects is not None:
        sent["corrects"] = corrects
    if on is not None:
        sent["time"] = f"{on}T09:30:00+08:00"
        if (dated := VOCABULARY[service][name].dated) is not None:
            sent["data"][dated] = on
    sent["data"] = {field: value for field, value in (sent["data"] | data).items() if value is not None}
    return sent


def retraction(of: ReportFields, id_: str | None = None, **changes: Any) -> ReportFields:
    """Return the report that takes another back."""
    service = of["type"].split(".")[1]
    sent = {name: of[name] for name in ("specversion", "source", "subject", "district")}
    sent |= {"id": id_ or f"undo-{of['id']}", "type": f"skillplan.{service}.report-retracted.v1"}
    sent |= {"time": "2024-12-01T08:00:00+08:00", "data": {"report_id": of["id"], "reason": "报错了"}}
    return sent | changes


def corrected(of: ReportFields, id_: str | None = None, **data: Any) -> ReportFields:
    """Return a report that corrects another: the same, with other data."""
    sent = deepcopy(of) | {"id": id_ or f"{of['id']}-corrected", "corrects": of["id"]}
    sent["data"] |= data
    return sent


def person(index: int) -> dict[str, Any]:
    """Return a made-up person."""
    return people.reported(index)


def organisation(index: int, kind: str = "91") -> dict[str, Any]:
    """Return a made-up organisation."""
    return {"credit_code": people.credit_code(index, kind), "name": f"样本机构 {index}"}


class PostgresLog(EventStore):
    """A log in PostgreSQL, and what tests ask and do besides; `InMemoryLog` has the same."""

    def __init__(self, pool: asyncpg.Pool, owner: asyncpg.Connection[asyncpg.Record]) -> None:
        super().__init__(pool)
        self._owner = owner

    async def clear(self) -> None:
        """Forget everything."""
        await self._owner.execute(_EMPTY)

    async def receipts(self) -> list[tuple[int | None, bytes]]:
        """Return the number of the decision and the bytes of every receipt, in order."""
        rows = await self._owner.fetch("select decision, bytes from receipt order by number")
        return [(row["decision"], row["bytes"]) for row in rows]

    async def waiting_ids(self) -> set[str]:
        """Return the ids of the reports that wait."""
        return {row["id"] for row in await self._owner.fetch("select id from waiting")}

    async def let_pass(self, days: float) -> None:
        """Let what waits have waited for so many days more."""
        await self._owner.execute("update waiting set since = since - $1::interval", timedelta(days=days))


class ServiceHarness:
    """One service: its handler, its log, its HTTP door."""

    def __init__(self, service: str, store: PostgresLog | InMemoryLog) -> None:
        self.service = service
        self.language = LANGUAGES[service]
        self.store = store
        self.handler = self.another_handler()
        self.http = httpx.AsyncClient(base_url="http://service")
        self._offset: dict[str, int] = {}

    def another_handler(self) -> CommandHandler:
        """Return a handler on the same log, as another process has it; it remembers every stream, however short."""
        return CommandHandler(
            Decoder(self.language, DISTRICTS, Keys(b"k" * 32), COUNTED),
            DOMAIN_SERVICES[self.service].domain(plans()),
            self.store,
            Seal(b"s" * 32),
            DOMAIN_SERVICES[self.service].heard,
            streams=StreamCache(self.service, least=1),
        )

    async def clear(self) -> None:
        """Forget everything."""
        await self.store.clear()
        self._offset.clear()

    async def send(self, *reports: ReportFields, received: datetime | None = None) -> list[Receipt]:
        """Report in one batch, one transaction; return the receipts in order."""
        at = received or datetime.now(UTC)
        arrived = [self.handler.decoder.decode(sent, Channel(), at) for sent in reports]
        return [orjson.loads(answer.receipt) for answer in await self.handler.handle(arrived)]

    async def say(self, sent: ReportFields, status: str = "accepted", code: str | None = None) -> Receipt:
        """Report one event and check what becomes of it."""
        receipt = (await self.send(sent))[0]
        check(receipt, status, code)
        return receipt

    async def post(self, sent: ReportFields) -> tuple[int, Receipt]:
        """Report through the HTTP door."""
        answer = await self.http.post(
            "/v1/events", content=json.dumps(sent), headers={"content-type": "application/cloudevents+json"}
        )
        return answer.status_code, answer.json()

    async def receipt(self, of: ReportFields) -> Receipt:
        """Return a report's receipt as it stands now."""
        matches = await self.store.receipt(of["source"], of["id"])
        assert matches is not None, f"no receipt of {of['id']}"
        result: Receipt = orjson.loads(matches)
        return result

    async def now(
        self, of: ReportFields, status: str, code: str | None = None, flags: list[str] | None = None
    ) -> Receipt:
        """Check a report's receipt as it stands now."""
        receipt = await self.receipt(of)
        check(receipt, status, code)
        assert flags is None or receipt["flags"] == flags, receipt
        return receipt

    async def facts(self) -> list[dict[str, Any]]:
        """Return the whole log."""
        return [orjson.loads(raw) for raw in await self.store.log(0, 100_000)]

    async def names(self) -> list[str]:
        """Return the types of the whole log, short."""
        return [fact["type"].split(".")[2] for fact in await self.facts()]

    async def view(self) -> View:
        """Return what stands by the whole log."""
        return View(self._decode(fact) for fact in await self.facts())

    def _decode(self, envelope: dict[str, Any]) -> Fact:
        return decode_fact({self.service: self.language}, envelope, ())

    async def standing(self, *names: str) -> set[str]:
        """Return the ids of the reports that stand, ends too; of all types or of some."""
        view = await self.view()
        keys = {(fact.report_source, fact.report_id) for fact in view.facts}
        matches = {
            key[1]: fact.event.type_name for key in keys if (fact := _stands(view, self.service, key)) is not None
        }
        return {id_ for id_, name in matches.items() if not names or name in names}

    async def waiting(self) -> set[str]:
        """Return the ids of the reports that wait."""
        ids = await self.store.waiting_ids()
        assert (await self.store.head()).waiting == len(ids)
        return ids

    async def recorded(self) -> dict[str, Any]:
        """Return all that the log holds, without what differs from run to run."""
        facts = await self.facts()
        for fact in facts:
            for name in ("id", "recordedat", "correlationid", "causationid"):
                del fact[name]
            if "person" in fact["data"]:
                del fact["data"]["person"]["sealed"]
        receipts = [(decision, orjson.loads(raw)) for decision, raw in await self.store.receipts()]
        keys = {(receipt["source"], receipt["id"]) for _, receipt in receipts if "id" in receipt}
        latest = {key: orjson.loads(await self.store.receipt(*key) or b"") for key in sorted(keys)}
        for receipt in [*(receipt for _, receipt in receipts), *latest.values()]:
            for each in (receipt, receipt.get("first", receipt)):
                for name in ("decided_at", "received_at", "sha256"):
                    each.pop(name, None)
        head = await self.store.head()
        return {
            "facts": facts,
            "receipts": receipts,
            "latest": latest,
            "waiting": sorted(await self.waiting()),
            "head": (head.position, head.receipts),
            "heard": [await self.store.subscription(service) for service in LANGUAGES],
        }

    async def hear(self, other: ServiceHarness) -> None:
        """Hear what another service has recorded since the last time, as its topic would bring it."""
        raws = await other.store.log(self._offset.get(other.service, 0), 100_000)
        facts = [self.handler.decode_heard(other.service, raw) for raw in raws]
        self._offset[other.service] = await self.handler.hear(other.service, facts)

    async def let_pass(self, days: float) -> int:
        """Let days pass for what waits, and refuse what has waited too long."""
        await self.store.let_pass(days)
        districts_by_days = districts_by_waiting_days(plans())
        return sum([await self.handler.expire(days, districts) for days, districts in districts_by_days.items()])


def _stands(view: View, service: str, key: tuple[str, str]) -> Fact | None:
    standing = view.of_report(service, key)
    if standing is not None:
        return standing.fact
    ended = view.ended_by(service, key)
    return ended.end if ended is not None else None


def check(receipt: Receipt, status: str, code: str | None = None) -> None:
    """Check a receipt's status and its one reason, which speaks both languages."""
    assert receipt["status"] == status, receipt
    codes = [reason["code"] for reason in receipt["reasons"]]
    assert codes == ([code] if code is not None else []), receipt
    for reason in receipt["reasons"]:
        assert reason["zh"], receipt
        assert reason["en"], receipt
        assert "{" not in reason["zh"] + reason["en"], receipt


class ServiceHarnesses:
    """The harnesses of all four services, and what goes between them; each is emptied when a test first uses it."""

    def __init__(self, running_services: Mapping[str, ServiceHarness]) -> None:
        self._running = running_services
        self._cleared: dict[str, ServiceHarness] = {}

    async def at(self, service: str) -> ServiceHarness:
        """Return the harness of a service."""
        if service not in self._cleared:
            self._cleared[service] = self._running[service]
            await self._cleared[service].clear()
        return self._cleared[service]

    async def prepare(self, service: str, name: str) -> list[ReportFields]:
        """Have everything accepted that a type's sample needs; return those reports, in order."""
        sent = []
        for home, needed in prerequisites(service, name):
            sent.append(report(home, needed))
            await (await self.at(home)).say(sent[-1])
            await self.hear()
        return sent

    async def hear(self) -> None:
        """Let subsidy hear whatever the others have recorded."""
        for other in ("competition", "recruitment"):
            if other in self._cleared:
                await (await self.at("subsidy")).hear(self._cleared[other])


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="running_services")
async def running_services_fixture(postgres: str, _template: Template) -> AsyncIterator[dict[str, ServiceHarness]]:
    """One harness for each service, with a database of its own, for all tests of a module, which run in one loop."""
    async with AsyncExitStack() as stack:
        new = stack.enter_context(fresh_databases(postgres, _template))
        harnesses = {}
        for service in LANGUAGES:
            database = new(service)
            owner = await asyncpg.connect(database.owner_dsn)
            stack.push_async_callback(owner.close)
            pool = await open_pool(database.dsn, "test")
            stack.push_async_callback(pool.close)
            harnesses[service] = ServiceHarness(service, PostgresLog(pool, owner))
            app = create_app(harnesses[service].handler)
            await stack.enter_async_context(app.router.lifespan_context(app))
            harnesses[service].http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")
            stack.push_async_callback(harnesses[service].http.aclose)
        yield harnesses


# Emptied, not truncated: that costs a new file for every table and index.
_EMPTY: Final = """
delete from fact; delete from receipt; delete from waiting; delete from heard; delete from subscription;
delete from person_key; delete from quarantine;
update log_head set position = 0, recorded_at = '2000-01-01T00:00:00Z', receipts = 0, quarantined = 0, waiting = 0;
"""


@cache
def in_memory_services() -> dict[str, ServiceHarness]:
    """One harness for each service with its log in memory; it has no HTTP door."""
    return {service: ServiceHarness(service, InMemoryLog()) for service in LANGUAGES}


@pytest.fixture(name="harnesses")
def services_fixture(request: pytest.FixtureRequest) -> ServiceHarnesses:
    """The harnesses of all four services, empty; their logs in memory unless the test's parameter says `postgres`."""
    if getattr(request, "param", "memory") == "postgres":
        return ServiceHarnesses(request.getfixturevalue("running_services"))
    return ServiceHarnesses(in_memory_services())


ON_POSTGRES: Final = pytest.mark.parametrize("harnesses", ["postgres"], indirect=True)


def types(*roles: str, chosen: Callable[[str, str], bool] = lambda service, name: True) -> pytest.MarkDecorator:
    """Parametrise over every type of these roles, all without any; and on PostgreSQL over enough to have each trait."""
    every = [
        (service, name)
        for service, table in VOCABULARY.items()
        for name, row in table.items()
        if (not roles or row.role.partition(" ")[0].rstrip(",") in roles) and chosen(service, name)
    ]
    seen: set[tuple[str, object]] = set()
    on_postgres: list[tuple[str, str]] = []
    for type_ in every:
        if not (traits := _traits(*type_)) <= seen:
            seen |= traits
            on_postgres.append(type_)
    return pytest.mark.parametrize(
        ("harnesses", "service", "name"),
        [
            *(pytest.param("memory", *type_, id=".".join(type_)) for type_ in every),
            *(pytest.param("postgres", *type_, id=f"{'.'.join(type_)}-postgres") for type_ in on_postgres),
        ],
        indirect=["harnesses"],
    )


def _traits(service: str, name: str) -> set[tuple[str, object]]:
    """Return what a type's road through the database depends on: role, person, key, last day, evidence."""
    row, opening = VOCABULARY[service][name], opening_of(service, name)
    event = next(event for event in LANGUAGES[service].events if event.type_name == name)
    return {
        ("role", row.role.removesuffix(opening or "")),
        ("person", "person" in row.fields),
        ("key", getattr(event.role, "key", None)),
        ("until", bool(row.ordered)),
        ("evidence", any(home != service for home, _ in prerequisites(service, name))),
    }


def day_after(day: str, days: int = 1) -> str:
    """Return the date so many days later."""
    return str(date.fromisoformat(day) + timedelta(days=days))
