"""What decisions need from the database: facts, and the decisions in force of reports. Each is loaded once."""

from collections.abc import Collection, Iterable, Mapping

import orjson

from shared.contract.cloudevents import JsonObject
from shared.contract.events import Fact, Language, Report, ReportKey
from shared.deciding import receipts
from shared.deciding.decider import Domain, NamedReport
from shared.deciding.facts import FactIndex, StreamCache, StreamFacts, decode_fact
from shared.deciding.query import Query
from shared.deciding.stream_fold import FactInForce
from shared.deciding.view import View
from shared.log.event_store import Decided, StreamKnown, Transaction, is_stream
from shared.observability.turns import Turns


class Loader:
    """Facts and decisions of one transaction: what was loaded, and what the transaction itself records."""

    def __init__(
        self,
        languages: Mapping[str, Language],
        service: str,
        domain: Domain,
        transaction: Transaction,
        cache: StreamCache,
    ) -> None:
        self.facts = FactIndex()
        self.decisions: dict[ReportKey, Decided | None] = {}
        self._languages = languages
        self._service = service
        self._domain = domain
        self._transaction = transaction
        self._cache = cache
        self._loaded: set[str] = set()
        self._prepared: dict[ReportKey, Query] = {}
        self._turns = Turns()

    async def load_facts(self, keys: Iterable[str]) -> None:
        """Load every fact with one of the keys as stream or tag; of what is remembered only what came since."""
        keys = set(keys) - self._loaded
        if not keys:
            return
        self._loaded |= keys
        remembered = {key: stream for key in keys if (stream := self._cache.take(key)) is not None}
        known = [StreamKnown(name, stream.last[self._service].version) for name, stream in remembered.items()]
        rows = await self._transaction.load(keys - remembered.keys(), known)
        envelopes = list[tuple[JsonObject, tuple[str, ...]]]()
        for stored in rows:
            envelopes.append((orjson.loads(stored.bytes), stored.tags))
            await self._turns.take()
        if forgotten := self._adopt(remembered, {envelope["id"] for envelope, _ in envelopes}):
            again = await self._transaction.load(forgotten, ())
            envelopes += [(orjson.loads(stored.bytes), stored.tags) for stored in again]
        for envelope, tags in envelopes:
            service = envelope["source"].rpartition("/")[2]
            if not self.facts.has(envelope["subject"], service, envelope["position"]):
                self.facts.add(decode_fact(self._languages, envelope, tags))
                await self._turns.take()

    def _adopt(self, remembered: Mapping[str, StreamFacts], ids: Collection[str]) -> list[str]:
        """Take streams as they are remembered; return those whose last fact is not in this log, which is another one
        then: emptied, or restored from a backup."""
        forgotten = []
        for name, stream in remembered.items():
            if stream.last[self._service].id in ids:
                self.facts.adopt(stream)
            else:
                forgotten.append(name)
        return forgotten

    def remember(self) -> None:
        """Put the streams that were loaded whole into the cache; called once the transaction is committed."""
        for key in self._loaded:
            if is_stream(key) and (stream := self.facts.stream(key)) is not None:
                self._cache.put(stream)

    async def load_decisions(self, keys: Iterable[ReportKey]) -> None:
        """Load the decision in force of each report."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.decisions]
        if missing:
            decided = await self._transaction.decided(missing)
            self.decisions |= {key: decided.get(key) for key in missing}

    async def load_for(self, reports: Iterable[Report]) -> None:
        """Load in few statements what the decisions of all these reports rest on."""
        queries = [Query(report, self._domain, self.facts) for report in reports]
        self._prepared |= {query.report.key: query for query in queries}
        while queries:
            more, further = set[str](), list[Query]()
            for query in queries:
                if keys := query.expand():
                    more |= keys
                    further.append(query)
                await self._turns.take()
            await self.load_facts(more)
            queries = further

    async def view(self, report: Report) -> View:
        """Return the view that the decision of a report is made from."""
        prepared = self._prepared.pop(report.key, None)
        if prepared is not None and prepared.report is report and prepared.rests_on_nothing:
            return prepared.view  # most say something new
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
