"""Hides how a fact looks on the wire: the few attributes the numbers need, its data read only when a number asks."""

from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from services.catalogue import DOMAIN_SERVICES
from shared.contract.events import SHANGHAI, parse_instant

# The logs that are followed: those whose facts are counted, and what the plan office decides on targets and months.
LOGS: Final = tuple(DOMAIN_SERVICES)

# RULES A1: the field that says when it happened; a fact has at most one of them, else its `time` says it.
DATES: Final = (
    "starts_on", "completed_on", "held_on", "issued_on", "granted_on", "conferred_on", "applied_on", "hired_on",
    "joined_on", "claimed_on", "requested_on", "signed_on", "on", "withdrawn_on", "ended_on", "revoked_on", "closed_on",
)  # fmt: skip


class LogFact(msgspec.Struct, gc=False):
    """A fact of `<service>.events`; `kind` is its type without prefix and version."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    district: str
    position: int
    recordedat: datetime
    reportsource: str
    reportid: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    corrects: str | None = None
    traceparent: str | None = None

    @property
    def service(self) -> str:
        """The service in whose log it stands."""
        return self.source.removeprefix("/services/")

    @property
    def kind(self) -> str:
        """The type as a plan names it, e.g. `recruitment.person-hired`."""
        return kind_of(self.type)

    def content(self) -> dict[str, Any]:
        """Return the data; raises msgspec.DecodeError when it is no object."""
        return _content.decode(self.data)

    def happened_on(self, content: dict[str, Any], field: str | None = None) -> date:
        """Return the date of the fact: that of the named field, else as RULES A1 says."""
        if field is not None:
            return date.fromisoformat(content[field])
        for name in DATES:
            if name in content:
                return date.fromisoformat(content[name])
        at = parse_instant(self.time)
        if at is None:
            raise ValueError("time")
        return at.astimezone(SHANGHAI).date()


def kind_of(type_name: str) -> str:
    """Return a CloudEvents type without prefix and version."""
    return type_name.removeprefix("skillplan.").rpartition(".v")[0]


_fact: Final = msgspec.json.Decoder(LogFact)
_content: Final = msgspec.json.Decoder(dict[str, Any])


def decode(raw: bytes) -> LogFact:
    """Read a fact's envelope; raises msgspec.DecodeError when it is none."""
    fact = _fact.decode(raw)
    if fact.recordedat.tzinfo is not UTC:
        fact.recordedat = fact.recordedat.astimezone(UTC)
    return fact
