"""What a fact is to a line: the selectors of a plan compiled to uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from services.projection.counting.selectors import (
    AmountOf,
    Match,
    Member,
    always,
    amount_of,
    matches,
    member_by,
    nobody,
    once,
)
from shared.plan.model import Amount, Distinct, Latest, Selector


class UseRole(IntEnum):
    """What a fact is to a line."""

    OPENS = 0
    ENDS = 1
    UNDOES = 2
    NAMES = 3  # gives the other facts of its subject their member
    DATES = 4  # gives the facts of its report their date


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which facts of one type enter a line.

    `covers`: on the covering side of a coverage. `match`: whether the data is meant (for the latest: whether it
    counts). `keeps_all`: facts that do not count are stored too, since they push out others or take ends to themselves.
    `opening`: for an end, an undoing or a date, the numbers of the uses it works on.
    """

    number: int
    kind: str
    role: UseRole
    covers: bool = False
    latest: bool = False
    keeps_all: bool = False
    match: Match = always
    member: Member = nobody
    amount: AmountOf = once
    dated: str | None = None
    until: str | None = None
    same: str | None = None
    opening: frozenset[int] = frozenset()

    @property
    def closes(self) -> bool:
        """Whether its facts take something out of the count."""
        match self.role:
            case UseRole.ENDS | UseRole.UNDOES:
                return True
            case UseRole.OPENS | UseRole.NAMES | UseRole.DATES:
                return False
            case _:
                assert_never(self.role)


class Uses:
    """Gathers the uses of one line."""

    def __init__(self) -> None:
        self.all: list[Use] = []

    def append(
        self,
        kind: str,
        role: UseRole,
        *,
        covers: bool = False,
        member: Member = nobody,
        same: str | None = None,
        opening: frozenset[int] = frozenset(),
    ) -> None:
        """Add a use that opens nothing."""
        self.all.append(Use(len(self.all), kind, role, covers=covers, member=member, same=same, opening=opening))

    def add_latest(self, selector: Selector, member: Member = nobody, amount: AmountOf = once) -> None:
        """Add a selector of which the latest fact counts; it has no ends (see `Latest`)."""
        self.all.append(
            Use(
                len(self.all), selector.fact, UseRole.OPENS, latest=True, keeps_all=True, match=matches(selector),
                member=member, amount=amount, dated=selector.dated,
            )
        )  # fmt: skip

    def add(self, selectors: Sequence[Selector], member: Member = nobody, covers: bool = False) -> None:
        """Add selectors, and for each what ends, undoes or dates it."""
        ends: dict[tuple[str, UseRole, str | None], set[int]] = {}
        for selector in selectors:
            number, ended_by = len(self.all), selector.ended_by
            self.all.append(
                Use(
                    number,
                    selector.fact,
                    UseRole.OPENS,
                    covers=covers,
                    keeps_all=ended_by is not None,
                    match=matches(selector),
                    member=member,
                    amount=amount_of(selector) if isinstance(selector, Amount) else once,
                    dated=selector.dated,
                    until=selector.until,
                    same=ended_by.same if ended_by else None,
                )
            )
            if ended_by:
                ends.setdefault((ended_by.fact, UseRole.ENDS, ended_by.same), set()).add(number)
            if selector.undone_by:
                ends.setdefault((selector.undone_by, UseRole.UNDOES, None), set()).add(number)
            if selector.dated_in:
                self.append(selector.dated_in, UseRole.DATES, opening=frozenset({number}))
        for (kind, role, same), numbers in ends.items():
            self.append(kind, role, covers=covers, same=same, opening=frozenset(numbers))

    def add_register(self, register: Distinct | Latest) -> None:
        """Add what registers the members of a coverage."""
        member = member_by(register.by or "subject")
        match register:
            case Distinct():
                self.add(register.of, member)
            case Latest():
                self.add_latest(register.of, member)
            case _:
                assert_never(register)
