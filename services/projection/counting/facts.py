"""Facts as they come from `<service>.events`: the attributes that numbers need, and the date that a type declares."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

import msgspec

from services.catalogue import COUNTED, DOMAIN_SERVICES
from shared.contract.events import LOCAL_TIME, Event, kind_of, parse_instant

# The logs that are followed: those whose facts are counted, and what the plan office decides on targets and months.
LOGS: Final = tuple(DOMAIN_SERVICES)

Data = Mapping[str, object]


class LogFact(msgspec.Struct, gc=False):
    """A fact of `<service>.events`; its data is decoded only where a plan counts its type, and not kept."""

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
    reportedby: str | None = None  # facts of older versions do not say (RULES G5)
    service: str = ""  # whose log it is in, by its source

    @property
    def kind(self) -> str:
        """The type as a plan names it, e.g. `recruitment.person-hired`."""
        return kind_of(self.type)

    def decoded(self) -> Data:
        """Return the data; raises msgspec.DecodeError when it is no object."""
        return _data.decode(self.data)

    def happened_on(self, data: Data, dated: str | None) -> date:
        """Return the date in the field that the type declares, without one the date of `time` (RULES A1).

        Raises KeyError, TypeError or ValueError where there is no such date.
        """
        if dated is not None:
            return date_in(data, dated)
        at = parse_instant(self.time)
        if at is None:
            raise ValueError("time")
        return at.astimezone(LOCAL_TIME).date()


def date_in(data: Data, field: str) -> date:
    """Return the date in a field; raises KeyError, TypeError or ValueError where there is none."""
    value = data[field]
    if not isinstance(value, str):
        raise TypeError(field)
    return date.fromisoformat(value)


@cache
def event_types() -> Mapping[str, type[Event]]:
    """Return every type of fact that the services publish, by its CloudEvents type."""
    languages = [DOMAIN_SERVICES[service].language for service in COUNTED]
    return {language.type_of(event): event for language in languages for event in language.versions}


_fact: Final = msgspec.json.Decoder(LogFact)
_data: Final = msgspec.json.Decoder(dict[str, Any])


def decode(raw: bytes) -> LogFact:
    """Decode a fact's envelope; raises msgspec.DecodeError when it is none."""
    fact = _fact.decode(raw)
    fact.service = fact.source.removeprefix("/services/")
    if fact.recordedat.tzinfo is not UTC:
        fact.recordedat = fact.recordedat.astimezone(UTC)
    return fact
