"""Dates ahead go by the later of the broker's clock and ours, and clocks that are far apart are named (RULES A2)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from services.catalogue import COUNTED
from services.recruitment.decider import domain
from services.recruitment.events import LANGUAGE as RECRUITMENT
from shared.contract.decoder import Channel, Decoder
from shared.contract.events import Report
from shared.deciding.decider import Accept, Refuse, decide
from shared.deciding.view import EMPTY
from shared.deciding.waiting import restore_waiting, store_waiting
from shared.log.clocks import ClockComparison
from shared.observability.health import Health
from tests.unit.test_envelope import DISTRICTS, KEYS, changed, hire

NOW = datetime(2024, 6, 1, 4, 0, tzinfo=UTC)
DECODER = Decoder(RECRUITMENT, DISTRICTS, KEYS, COUNTED)
KAFKA = Channel(district="330681")


@pytest.mark.parametrize(
    ("received_at", "read_at", "accepted"),
    [
        (NOW, NOW, True),
        (NOW - timedelta(days=3), NOW, True),
        (NOW, NOW - timedelta(days=3), True),
        (NOW, None, True),
        (NOW - timedelta(days=3), NOW - timedelta(days=3), False),
        (NOW - timedelta(days=3), None, False),
    ],
)
@pytest.mark.parametrize("sent", [changed(time=(NOW + timedelta(hours=23)).isoformat()), hire(hired_on="2024-06-02")])
def test_what_lies_ahead_goes_by_the_later_clock(
    sent: dict[str, object], received_at: datetime, read_at: datetime | None, accepted: bool
) -> None:
    report = DECODER.decode(sent, KAFKA, received_at, read_at)
    assert isinstance(report, Report)
    assert report.received_at == received_at  # by which it waits (RULES D13)
    # ... and still does when it has waited.
    for again in (report, restore_waiting(store_waiting(report), RECRUITMENT)):
        assert again.received_at == received_at
        decision = decide(again, EMPTY, domain(()), "recruitment", None)
        assert isinstance(decision, Accept if accepted else Refuse)


@dataclass
class Acknowledged:
    timestamp: int | None
    timestamp_type: int | None = 1


@pytest.mark.parametrize(
    ("ahead", "difference"),
    [(0, 0), (1.5, 0), (-1, -1), (300, 298), (-300, -300), (303, 301), (-301, -301), (9e6, 9e6 - 2)],
)
def test_clocks_more_than_five_minutes_apart_are_named_until_they_are_not(ahead: float, difference: float) -> None:
    health = Health()
    clocks = ClockComparison(health)
    after = NOW + timedelta(seconds=2)
    stamp = int((NOW.timestamp() + ahead) * 1000)
    clocks.compare(NOW, [Acknowledged(stamp)], after)
    assert clocks.difference == difference
    assert ("clock" in health.warnings) is (abs(difference) > 300)
    assert health.problems == {}  # it decides all the same
    clocks.compare(NOW, [Acknowledged(0, 0), Acknowledged(None, None)], after)  # the broker sets no time there
    assert clocks.difference == difference
    clocks.compare(NOW, [Acknowledged(int(NOW.timestamp() * 1000))], after)
    assert (clocks.difference, health.warnings) == (0, {})
