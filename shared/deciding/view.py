"""The facts in force among those that a report depends on: the folds of their streams together."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Final, Self, TypeVar

from shared.contract.events import Event, Fact, Report, ReportKey
from shared.contract.rules import Rule
from shared.deciding.stream_fold import FactInForce, StreamFold, last_day_of, may_repeat, position_of

E = TypeVar("E", bound=Event)


class View:
    """What is in force on some streams; every decision is made from one. It changes with the folds it is made of."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        of_stream: defaultdict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            of_stream[fact.stream].append(fact)
        self._folds: Mapping[str, StreamFold] = {name: StreamFold(of_stream[name]) for name in of_stream}
        self._own_end: Fact | None = None

    @classmethod
    def over(cls, folds: Mapping[str, StreamFold]) -> Self:
        """Return the view of streams that are folded already, by their names."""
        view = cls()
        view._folds = folds
        return view

    def without(self, stream: str, service: str, key: ReportKey, own_end: Fact | None = None) -> "View":
        """Return the view as if a report on a stream had never been made; `own_end`: the end that its correction
        takes over (RULES B4)."""
        view = View.over(self._folds)
        if stream in self._folds:
            view._folds = {**self._folds, stream: self._folds[stream].without((service, key))}
        view._own_end = own_end
        return view

    @property
    def streams(self) -> Iterable[str]:
        """The streams that have a fact."""
        return self._folds.keys()

    @property
    def facts(self) -> list[Fact]:
        """All facts, in force or not, by service and position."""
        return sorted(chain.from_iterable(fold.facts for fold in self._folds.values()), key=position_of)

    @property
    def orphans(self) -> list[Fact]:
        """Ends and additions whose opening is not in force."""
        orphans = [orphan for fold in self._folds.values() for orphan in fold.orphans]
        return [fact for _, fact in sorted(orphans, key=lambda orphan: orphan[0])]

    def of(self, event: type[E]) -> Iterator[tuple[E, FactInForce]]:
        """Yield what is in force of a type, in the order it was recorded; what was cancelled is left out (C5)."""
        groups = [group for fold in self._folds.values() if (group := fold.of_type(event.type_name))]
        in_order = groups[0] if len(groups) == 1 else sorted(chain.from_iterable(groups), key=lambda it: it.place)
        for in_force in in_order:
            if not in_force.void and isinstance(in_force.event, event):
                yield in_force.event, in_force

    def total(self, event: type[Event], name: str) -> int:
        """Return the sum of a whole number's field over what is in force of a type that nothing ends."""
        return sum(fold.total(event.type_name, name) for fold in self._folds.values())

    def opened(self, stream: str, opening: str, like: Event) -> Sequence[FactInForce]:
        """Return every opening on a stream, cancelled ones too, that agrees with `like` in the opening's key."""
        fold = self._folds.get(stream)
        return fold.opened(opening, like) if fold is not None else ()

    def on(self, stream: str) -> Sequence[FactInForce]:
        """Return what is in force on a stream, ends aside."""
        fold = self._folds.get(stream)
        return fold.in_force if fold is not None else ()

    def says(self, report: Report, service: str) -> bool:
        """Tell whether what may repeat on its subject says the same as another report in force (RULES A23)."""
        fold = self._folds.get(report.subject)
        return fold is not None and may_repeat(type(report.event)) and fold.says(report, service)

    def of_type(self, stream: str, type_name: str) -> Sequence[FactInForce]:
        """Return what is in force of a type on a stream, cancelled ones too, in the order of the fold."""
        fold = self._folds.get(stream)
        return fold.of_type(type_name) if fold is not None else ()

    def first(self, stream: str, service: str) -> FactInForce | None:
        """Return the first opening or *(latest stands)* report of a service in force on a stream."""
        fold = self._folds.get(stream)
        return fold.first.get(service) if fold is not None else None

    def of_report(self, service: str, key: ReportKey) -> FactInForce | None:
        """Return what is in force because of a report, None when nothing is or when it is an end."""
        return next(filter(None, (fold.of_report((service, key)) for fold in self._folds.values())), None)

    def ended_by(self, service: str, key: ReportKey) -> FactInForce | None:
        """Return what a report ended, None when it is no end in force."""
        return next(filter(None, (fold.ended_by((service, key)) for fold in self._folds.values())), None)

    def facts_of(self, service: str, key: ReportKey) -> Sequence[Fact]:
        """Return what was recorded because of a report, in force or not."""
        return next(filter(None, (fold.facts_of((service, key)) for fold in self._folds.values())), ())

    def counts(self, service: str, key: ReportKey) -> bool:
        """Tell whether what was recorded because of a report is neither taken back nor replaced nor suspended."""
        return any(fold.counts((service, key)) for fold in self._folds.values())

    def fate(self, service: str, key: ReportKey) -> Rule | None:
        """Return why an accepted report is no longer in force, None when it is (RULES B2)."""
        return next(filter(None, (fold.fate((service, key)) for fold in self._folds.values())), None)

    def span(self, report: Report) -> tuple[date, date]:
        """Return the first and last day that a report's opening would count, with the end it has already (B4)."""
        return report.happened_on, last_day_of(report.event, self._own_end)


EMPTY: Final = View()
