"""Warns of certificates that end soon: the one shown to callers, and the authorities by which others are checked."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from shared.observability.health import Health

_SOON: Final = timedelta(days=30)
_OFTEN: Final = 3600.0  # seconds
_PART: Final = "certificate"


class End(NamedTuple):
    """When the certificates in a file end."""

    file: Path
    at: datetime


def ends(served: Path | None, authorities: Iterable[Path | None]) -> list[End]:
    """Return when the certificates in files end: of what is served the first, of authorities the last.

    A file that cannot be read as certificates is left out; who needs it says so.
    """
    read: list[End] = []
    for file, choose in ((served, min), *((file, max) for file in authorities)):
        if file is not None:
            try:
                every = x509.load_pem_x509_certificates(file.read_bytes())
            except (OSError, ValueError):
                continue
            read.append(End(file, choose(each.not_valid_after_utc for each in every)))
    return read


def warning(certificates: Iterable[End], now: datetime) -> str | None:
    """Return which certificate ends first, where it does within thirty days."""
    soon = [end for end in certificates if end.at < now + _SOON]
    if not soon:
        return None
    first = min(soon, key=lambda end: end.at)
    return f"{first.file.name} ends on {first.at:%Y-%m-%d}; renew it and start this process again"


async def watch(certificates: Iterable[End], health: Health) -> None:
    """Warn from thirty days before the first of some certificates ends."""
    listed = list(certificates)
    while True:
        health.warn(_PART, warning(listed, datetime.now(UTC)))
        await asyncio.sleep(_OFTEN)
