"""The query of a report: the streams and tags whose facts its decision rests on.

These facts are the report's dynamic consistency boundary (DCB, decision 0007). Which they are is known step by step:
each fact loaded may name what else the decision rests on.
"""

from shared.contract.events import Report
from shared.deciding.decider import Domain
from shared.deciding.facts import FactIndex
from shared.deciding.view import EMPTY, View


class Query:
    """The keys of one report's query, found step by step; whoever loads facts calls `expand` until it is empty."""

    def __init__(self, report: Report, domain: Domain, facts: FactIndex) -> None:
        self.report = report
        self._domain = domain
        self._facts = facts
        self._keys: set[str] = set()
        self.view: View = EMPTY

    def expand(self) -> set[str]:
        """Return the keys that must be loaded next; none when `view` has all that the decision rests on.

        A stream that a tag led to is needed whole, with its ends.
        """
        if self._keys:
            self.view = self._facts.view(self._keys)
            if self.view is EMPTY:
                return set()  # no new fact that could name more
        named = self._domain.query(self.report, self.view)
        more = {self.report.subject, *named, *self.view.streams} - self._keys
        self._keys |= more
        return more

    @property
    def rests_on_nothing(self) -> bool:
        """Whether it was found to rest on no fact, and still does: another one of the report would find the same."""
        return self.view is EMPTY and not self._facts.has_any(self._keys)
