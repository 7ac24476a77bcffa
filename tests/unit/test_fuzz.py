"""Whatever comes in is understood or answered; nothing is raised, and nothing personal is said again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalogue import COUNTED
from shared.contract.cloudevents import NotReadableError, from_kafka
from shared.contract.decoder import Channel, Decoder, Keys
from shared.contract.events import NotUnderstood, Report
from shared.deciding.receipts import not_decided
from tests.harness.languages import ALL, DISTRICTS, every_type, sample
from tests.harness.mutations import spoiled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ATTRIBUTES = st.sampled_from(["specversion", "id", "source", "type", "subject", "time", "district", "corrects", "data"])


DECODERS = {name: Decoder(language, DISTRICTS, Keys(b"k" * 32), COUNTED) for name, language in ALL.items()}


@pytest.mark.parametrize("service", ALL)
def test_ten_thousand_spoiled_reports_are_each_understood_or_answered(service: str) -> None:
    decoder = DECODERS[service]
    well_formed = [
        sample(language.service, event.type_name) for language, event in every_type(ALL) if not event.decision
    ]
    answered = {"understood": 0, "answered": 0, "unreadable": 0}
    for original, raw in spoiled(well_formed, 2_500, seed=sum(service.encode())):
        try:
            envelope = from_kafka(raw, ())
        except NotReadableError:
            answered["unreadable"] += 1
            continue
        result = decoder.decode(envelope, Channel(original["district"]), NOW)
        if isinstance(result, Report):
            answered["understood"] += 1
            continue
        answered["answered"] += 1
        assert result.reasons
        receipt = not_decided(result, service, NOW).decode()
        person = original["data"].get("person", {})
        assert not [key for key in ("id_number", "name", "phone") if person.get(key, receipt + ".") in receipt], receipt
    assert all(count > 20 for count in answered.values()), answered


@given(st.dictionaries(ATTRIBUTES, JSON))
@settings(max_examples=150, deadline=None)
def test_any_json_object_is_answered(envelope: dict[str, object]) -> None:
    result = DECODERS["recruitment"].decode(envelope, Channel(), NOW)
    assert isinstance(result, NotUnderstood)
    assert not_decided(result, "recruitment", NOW)
