"""The languages of districts and of the plan office, and the stored sample of each type: the first ever sent of it."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from services.catalogue import COUNTED, languages
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import Event, Language, NotUnderstood, Report

ALL: Final = languages()
LANGUAGES: Final = {name: ALL[name] for name in COUNTED}
SAMPLES: Final = Path(__file__).resolve().parents[1] / "contract" / "samples"
DISTRICTS: Final = ("330600", "330602", "330603", "330604", "330624", "330681", "330683")
RECEIVED: Final = datetime(2025, 1, 1, tzinfo=UTC)


def every_type(languages: Mapping[str, Language] = LANGUAGES) -> Iterator[tuple[Language, type[Event]]]:
    """Yield every type with its language; those of districts, unless told."""
    for language in languages.values():
        for event in language.versions:
            yield language, event


def sample(service: str, name: str) -> dict[str, Any]:
    """Return the stored sample of a type: of its first version, unless the name ends with another."""
    versioned = name if ".v" in name else f"{name}.v1"
    stored: dict[str, Any] = json.loads((SAMPLES / f"{service}.{versioned}.json").read_text(encoding="utf-8"))
    return stored


def decoder(service: str) -> Decoder:
    """Return the decoder of a service."""
    return Decoder(ALL[service], DISTRICTS, Keys(b"k" * 32), COUNTED)


def decode(service: str, envelope: dict[str, Any]) -> Report | NotUnderstood:
    """Decode an envelope as its service does."""
    return decoder(service).decode(envelope, Channel(), RECEIVED)


def understood(service: str, envelope: dict[str, Any]) -> Report:
    """Return the report, failing with its faults where there are any."""
    report = decode(service, envelope)
    assert isinstance(report, Report), [rule.reason() for rule in report.reasons]
    return report


def faults(service: str, envelope: dict[str, Any]) -> set[tuple[str, str | None]]:
    """Return every code and pointer of what is wrong with an envelope; none when it is understood."""
    answer = decode(service, envelope)
    return {(rule.code_of(), rule.pointer) for rule in answer.reasons} if isinstance(answer, NotUnderstood) else set()
