"""What decisions need from the database: facts, and the decisions in force of reports. Each is loaded once."""

from collections.abc import Iterable, Mapping

import orjson

from shared.contract.events import Fact, Language, Report, ReportKey
from shared.deciding import receipts
from shared.deciding.decider import Domain, NamedReport
from shared.deciding.facts import FactIndex, decode_fact
from shared.deciding.query import Query
from shared.deciding.view import FactInForce, View
from shared.log.event_store import Decided, Transaction


class Loader:
    """Facts and decisions of one transaction: what was loaded, and what the transaction itself records."""

    def __init__(self, languages: Mapping[str, Language], domain: Domain, transaction: Transaction) -> None:
        self.facts = FactIndex()
        self.decisions: dict[ReportKey, Decided | None] = {}
        self._languages = languages
        self._domain = domain
        self._transaction = transaction
        self._loaded: set[str] = set()

    async def load_facts(self, keys: Iterable[str]) -> None:
        """Load every fact with one of the keys as stream or tag."""
        keys = set(keys) - self._loaded
        if not keys:
            return
        self._loaded |= keys
        for stored in await self._transaction.load(keys):
            self.facts.add(decode_fact(self._languages, orjson.loads(stored.bytes), stored.tags))

    async def load_decisions(self, keys: Iterable[ReportKey]) -> None:
        """Load the decision in force of each report."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.decisions]
        if missing:
            decided = await self._transaction.decided(missing)
            self.decisions |= {key: decided.get(key) for key in missing}

    async def load_for(self, reports: Iterable[Report]) -> None:
        """Load in few statements what the decisions of all these reports rest on."""
        queries = [Query(report, self._domain, self.facts) for report in reports]
        while queries:
            steps = [(query, query.expand()) for query in queries]
            await self.load_facts(set().union(*(keys for _, keys in steps)))
            queries = [query for query, keys in steps if keys]

    async def view(self, report: Report) -> View:
        """Return the view that the decision of a report is made from."""
        query = Query(report, self._domain, self.facts)
        while keys := query.expand():
            await self.load_facts(keys)
        return query.view

    async def named(self, key: ReportKey) -> NamedReport | None:
        """Return the report that a correction or a retraction names, None when it was never received here."""
        await self.load_decisions([key])
        decided = self.decisions[key]
        return receipts.named(decided.receipt) if decided else None

    async def is_accepted(self, key: ReportKey) -> bool:
        """Tell whether a report's receipt in force says that it was accepted."""
        named = await self.named(key)
        return named is not None and named.status == "accepted"

    async def in_force_with(self, tag: str) -> list[FactInForce]:
        """Return what is in force with a tag, one fact of each report."""
        await self.load_facts({tag})
        streams = self.facts.streams({tag})
        await self.load_facts(streams)
        view = self.facts.view(streams)
        tagged = [fact for stream in sorted(streams) for fact in view.on(stream) if tag in fact.fact.tags]
        return list({(it.fact.report_source, it.fact.report_id): it for it in tagged}.values())

    async def report_of(self, fact: Fact) -> Report:
        """Return the report that a fact was recorded for, as it would be decided again."""
        key = (fact.report_source, fact.report_id)
        await self.load_decisions([key])
        decided = self.decisions[key]
        if decided is None:
            raise LookupError(f"no receipt for the report of position {fact.position}")
        accepted = self.facts.report_fact(fact)
        return accepted.as_report(decided.digest, receipts.received_at(decided.receipt))
