"""Policies of subsidy: the facts of other services that its decisions use as evidence, and their tags; pure."""

from collections.abc import Iterable
from typing import Final

from services.competition.events import CertificateIssued, CertificateRevoked, HonourConferred, HonourWithdrawn
from services.recruitment.events import HireEnded, PersonHired
from shared.contract.events import Event, Language

# Whenever one of these is recorded there, it becomes evidence here, and what waited for it is decided.
HEARS: Final = (
    Language("competition", CertificateIssued | CertificateRevoked | HonourConferred | HonourWithdrawn),
    Language("recruitment", PersonHired | HireEnded),
)


def tags(event: Event) -> Iterable[str]:
    """Name what a claim looks evidence up by; a certificate is found by its subject alone."""
    match event:
        case HonourConferred():
            yield f"honour-of:{event.person.token}"
        case PersonHired():
            yield f"hire-of:{event.person.token}:{event.enterprise.credit_code}"
        case _:
            return
