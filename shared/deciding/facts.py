"""The facts that a transaction has loaded or recorded, by stream and tag, each stream folded once."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from shared.contract.cloudevents import JsonObject
from shared.contract.events import Event, Fact, Language, parse_instant
from shared.deciding.stream_fold import StreamFold
from shared.deciding.view import EMPTY, View


class StreamFacts:
    """The facts of one stream, and their fold: made when it is first needed, and evolved by the next fact."""

    __slots__ = ("_fold", "_known", "_weighed", "_weight", "facts", "last", "name", "reports", "tags")

    def __init__(self, name: str) -> None:
        self.name = name
        self.facts: list[Fact] = []
        self.tags: dict[str, None] = {}
        self.last: dict[str, Fact] = {}  # by service, the fact of the highest version
        self.reports: dict[tuple[str, str, str], Fact] = {}  # by service, source and id, what was last accepted
        self._known: set[tuple[str, int]] = set()
        self._fold: StreamFold | None = None
        self._weighed = self._weight = 0

    def add(self, fact: Fact) -> bool:
        """Take a fact; return False where it is there already."""
        place = fact.service, fact.position
        if place in self._known:
            return False
        self._known.add(place)
        self.facts.append(fact)
        self.tags.update(dict.fromkeys(fact.tags))
        if not fact.event.decision:
            origin = fact.service, fact.report_source, fact.report_id
            accepted = self.reports.get(origin)
            if accepted is None or accepted.position < fact.position:
                self.reports[origin] = fact
        last = self.last.get(fact.service)
        if last is None or last.version < fact.version:
            self.last[fact.service] = fact
        if self._fold is not None and not self._fold.evolve(fact):
            self._fold = None
        return True

    def has(self, service: str, position: int) -> bool:
        """Tell whether a fact is there."""
        return (service, position) in self._known

    @property
    def fold(self) -> StreamFold:
        """The fold of all that is there."""
        if self._fold is None:
            self._fold = StreamFold(self.facts)
        return self._fold

    def weight(self) -> int:
        """Return about how many bytes of memory it takes; each fact is weighed once."""
        for fact in self.facts[self._weighed :]:
            self._weight += _BYTES_OF_FACT + _BYTES_OF_BYTE * len(orjson.dumps(fact.body))
        self._weighed = len(self.facts)
        return self._weight


_BYTES_OF_FACT: Final = 2_400  # measured: of a fact, its event and its place in the fold
_BYTES_OF_BYTE: Final = 4  # of its data as JSON: the same again as texts and as a model


class FactIndex:
    """Facts by stream and tag, of this and other services."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_name: dict[str, StreamFacts] = {}
        self._streams: defaultdict[str, dict[str, None]] = defaultdict(dict)  # by stream and tag, in order of arrival
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact) -> None:
        """Take a fact; one that is there already changes nothing."""
        stream = self._by_name.get(fact.stream)
        if stream is None:
            stream = self._by_name[fact.stream] = StreamFacts(fact.stream)
        if stream.add(fact):
            for key in (fact.stream, *fact.tags):
                self._streams[key][fact.stream] = None

    def adopt(self, stream: StreamFacts) -> None:
        """Take a stream as an earlier transaction left it; what is there of it already is added."""
        partial = self._by_name.get(stream.name)
        self._by_name[stream.name] = stream
        for fact in partial.facts if partial is not None else ():
            stream.add(fact)
        for key in (stream.name, *stream.tags):
            self._streams[key][stream.name] = None

    def has(self, stream: str, service: str, position: int) -> bool:
        """Tell whether a fact is there."""
        return stream in self._by_name and self._by_name[stream].has(service, position)

    def stream(self, name: str) -> StreamFacts | None:
        """Return a stream, None where it has no fact."""
        return self._by_name.get(name)

    def version(self, service: str, stream: str) -> int:
        """Return the last version of a service's stream, 0 without facts."""
        last = self._by_name[stream].last.get(service) if stream in self._by_name else None
        return last.version if last is not None else 0

    def on(self, stream: str, service: str) -> list[Fact]:
        """Return the facts of one service on a stream."""
        return [fact for fact in self._facts(stream) if fact.service == service]

    def own_view(self, stream: str, service: str) -> View:
        """Return the view over the facts of one service on a stream."""
        facts = self._by_name.get(stream)
        if facts is not None and facts.last.keys() == {service}:
            return View.over({stream: facts.fold})
        return View(self.on(stream, service))

    def _facts(self, stream: str) -> Sequence[Fact]:
        return self._by_name[stream].facts if stream in self._by_name else ()

    def streams(self, keys: Iterable[str]) -> set[str]:
        """Return the streams that have a fact with one of the keys as stream or tag."""
        return {stream for key in keys for stream in self._streams.get(key, ())}

    def has_any(self, keys: Iterable[str]) -> bool:
        """Tell whether there is a fact with one of the keys as stream or tag."""
        return any(map(self._streams.__contains__, keys))

    def view(self, keys: Iterable[str]) -> View:
        """Return the view over the streams that the keys lead to; it changes with what is added later."""
        streams = self.streams(keys)
        return View.over({stream: self._by_name[stream].fold for stream in streams}) if streams else EMPTY

    def report_fact(self, fact: Fact) -> Fact:
        """Return the fact of its report itself, as it was last accepted, of any fact recorded because of it."""
        return self._by_name[fact.stream].reports[fact.service, fact.report_source, fact.report_id]


_LEAST_FACTS: Final = 32  # of a stream that is worth it: to read fewer again costs less than to remember them
_MOST_BYTES: Final = 64 * 1024 * 1024  # in all: some twenty thousand facts of the usual size


class StreamCache:
    """Long streams as the last transactions of this process left them, so that the next reads what came since.

    Another process may have written meanwhile: what is taken from here is a beginning of the stream, to which the
    transaction, once it holds the lock, loads the rest. A transaction takes a stream out and puts it back when it is
    committed, so that what was rolled back is remembered by nobody.
    """

    def __init__(self, service: str, least: int = _LEAST_FACTS, most: int = _MOST_BYTES) -> None:
        """Remember streams of at least so many facts of this service, and at most so many bytes."""
        self._service = service
        self._least = least
        self._most = most
        self._bytes = 0
        self._streams: OrderedDict[str, StreamFacts] = OrderedDict()  # the one put last is last

    def take(self, name: str) -> StreamFacts | None:
        """Return a stream, which is remembered no longer; None where it was not."""
        stream = self._streams.pop(name, None)
        if stream is not None:
            self._bytes -= stream.weight()
        return stream

    def put(self, stream: StreamFacts) -> None:
        """Remember a whole stream of this service alone, if it is worth it, and forget those put longest ago."""
        self.take(stream.name)
        if len(stream.facts) < self._least or stream.last.keys() != {self._service} or stream.weight() > self._most:
            return
        self._streams[stream.name] = stream
        self._bytes += stream.weight()
        while self._bytes > self._most:
            self.take(next(iter(self._streams)))


def event_body(event: Event) -> JsonObject:
    """Return an event's data as it is recorded: JSON values, absent fields left out."""
    return event.model_dump(mode="json", exclude_none=True)


def decode_fact(languages: Mapping[str, Language], envelope: JsonObject, tags: tuple[str, ...]) -> Fact:
    """Return a recorded fact from its envelope; raises ValueError when it is none of these languages."""
    service = envelope["source"].rpartition("/")[2]
    event = languages[service].find(envelope["type"])
    at, recorded_at = parse_instant(envelope["time"]), parse_instant(envelope["recordedat"])
    if event is None or at is None or recorded_at is None:
        raise ValueError(f"{service} position {envelope.get('position')}: not a fact of this language")
    return Fact(
        service=service,
        position=envelope["position"],
        version=envelope["version"],
        id=envelope["id"],
        type=envelope["type"],
        stream=envelope["subject"],
        district=envelope["district"],
        at=at,
        time=envelope["time"],
        recorded_at=recorded_at,
        report_source=envelope["reportsource"],
        report_id=envelope["reportid"],
        event=event.model_validate(envelope["data"]).newest(),
        body=envelope["data"],
        tags=tags,
        corrects=envelope.get("corrects"),
        correlation_id=envelope["correlationid"],
        causation_id=envelope["causationid"],
        traceparent=envelope.get("traceparent"),
        reported_by=envelope.get("reportedby"),
        sunset=event.sunset,
    )
