"""The facts that a transaction has loaded or recorded, by stream and tag, each stream folded once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.contract.cloudevents import JsonObject
from shared.contract.events import Event, Fact, Language, parse_instant
from shared.deciding.view import EMPTY, StreamFold, View


class FactIndex:
    """Facts by stream and tag, of this and other services; a stream's fold is cached and evolved by its next fact."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._known: set[tuple[str, int]] = set()
        self._on_stream: defaultdict[str, list[Fact]] = defaultdict(list)
        self._streams: defaultdict[str, dict[str, None]] = defaultdict(dict)  # by stream and tag, in order of arrival
        self._versions: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._folds: dict[str, StreamFold] = {}
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact) -> None:
        """Take a fact; one that is there already changes nothing."""
        if (fact.service, fact.position) in self._known:
            return
        self._known.add((fact.service, fact.position))
        self._on_stream[fact.stream].append(fact)
        for key in (fact.stream, *fact.tags):
            self._streams[key][fact.stream] = None
        version = fact.service, fact.stream
        self._versions[version] = max(self._versions[version], fact.version)
        fold = self._folds.get(fact.stream)
        if fold is not None and not fold.evolve(fact):
            del self._folds[fact.stream]

    def version(self, service: str, stream: str) -> int:
        """Return the last version of a service's stream, 0 without facts."""
        return self._versions.get((service, stream), 0)

    def on(self, stream: str, service: str) -> list[Fact]:
        """Return the facts of one service on a stream."""
        return [fact for fact in self._on_stream.get(stream, ()) if fact.service == service]

    def streams(self, keys: Iterable[str]) -> set[str]:
        """Return the streams that have a fact with one of the keys as stream or tag."""
        return {stream for key in keys for stream in self._streams.get(key, ())}

    def view(self, keys: Iterable[str]) -> View:
        """Return the view over the streams that the keys lead to; it changes with what is added later."""
        streams = self.streams(keys)
        return View.over({stream: self._fold(stream) for stream in streams}) if streams else EMPTY

    def _fold(self, stream: str) -> StreamFold:
        fold = self._folds.get(stream)
        if fold is None:
            fold = self._folds[stream] = StreamFold(self._on_stream[stream])
        return fold

    def report_fact(self, fact: Fact) -> Fact:
        """Return the fact of its report itself, as it was last accepted, of any fact recorded because of it."""
        origin = (fact.service, fact.report_source, fact.report_id)
        same: Sequence[Fact] = [
            other
            for other in self._on_stream[fact.stream]
            if (other.service, other.report_source, other.report_id) == origin and not other.event.decision
        ]
        return same[-1]


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
        event=event.model_validate(envelope["data"]),
        body=envelope["data"],
        tags=tags,
        corrects=envelope.get("corrects"),
        correlation_id=envelope["correlationid"],
        causation_id=envelope["causationid"],
        traceparent=envelope.get("traceparent"),
        reported_by=envelope.get("reportedby"),
    )
