"""People at work: hired, promoted, honoured, invited from elsewhere."""

from __future__ import annotations

from typing import Final

from client.demo.calendar import Calendar, date_of
from client.demo.scenarios.papers import certify, claim, end_hire, hire
from client.demo.scenarios.trades import (
    LEVELS,
    SERIES,
    SHORTAGE,
    SOURCES_OF_LABOUR,
    TRADES,
    some_enterprise,
    some_trade,
)

# As in the plan's parameters; here only so that the demo's payments fit the grants.
_MONTHLY: Final = {"2": 50_000, "1": 80_000, "special": 80_000}
_ALLOWANCES_A_ROUND: Final = 20
_WRONG_ALLOWANCES: Final = {6: "not-a-shortage-occupation", 13: "level-too-low"}
_HIRED_TWICE: Final = 7
_HALF_OF_THE_CAP: Final = 75_000_000


def recruit(c: Calendar, day: int) -> None:
    """A skilled worker from a province with labour to spare, hired through the gold-blue-collar line."""
    district, person = c.district((17, 19, 15, 13, 23, 13)), c.person()
    occupation = some_trade(c, district)
    subject = hire(
        c, person, some_enterprise(c, district), "gold-blue-collar", occupation, c.random.choice("543"), day, district
    )
    if c.chance(0.14):
        ended = day + c.random.randrange(30, 500)
        end_hire(c, subject, ended, district)
        if c.chance(0.5):
            elsewhere = c.district()
            channel = "gold-blue-collar" if c.chance(0.5) else "other"
            hire(c, person, some_enterprise(c, elsewhere), channel, occupation, None, ended + 20, elsewhere)


def worker(c: Calendar, day: int) -> None:
    """Someone hired in the ordinary way."""
    district = c.district()
    channel = "school-enterprise" if c.chance(0.4) else "other"
    person, enterprise, occupation = c.person(), some_enterprise(c, district), some_trade(c, district)
    subject = hire(c, person, enterprise, channel, occupation, None, day, district)
    if c.turn("worker") % 25 == _HIRED_TWICE:  # either of the two may be the first there, so neither is ended
        hire(c, person, enterprise, channel, occupation, None, day, district, meant="already-employed-there")
    elif c.chance(0.1):
        end_hire(c, subject, day + c.random.randrange(10, 400), district)


def technician(c: Calendar, day: int) -> None:
    """A technician in a shortage occupation: employed, certified, paid a post allowance in instalments."""
    district, person = c.district(), c.person()
    enterprise = some_enterprise(c, district)
    meant = _WRONG_ALLOWANCES.get(c.turn("technician") % _ALLOWANCES_A_ROUND, "accepted")
    listed = some_trade(c, district)
    while (listed in SHORTAGE) == (meant == "not-a-shortage-occupation"):
        listed = c.random.choice(TRADES)
    level = "3" if meant == "level-too-low" else c.random.choices(("2", "1", "special"), (70, 25, 5))[0]
    if c.chance(0.8):
        hire(c, person, enterprise, "other", listed, level, max(0, day - 200), district)
    number = certify(c, person, listed, level, enterprise, "enterprise", day, district)
    claimed = day + c.random.randrange(10, 60)
    subject = f"allowance/{c.number('GW')}"
    data = {
        "person": person,
        "certificate_number": number,
        "enterprise": enterprise,
        "employed_since": date_of(max(0, day - 200)),
        "claimed_on": date_of(claimed),
    }
    c.report("subsidy", "allowance-claimed", subject, data, claimed, district, meant=meant)
    if meant == "accepted":
        for quarter in range(1, 5):
            paid = claimed + quarter * 91
            money = {"amount_fen": 3 * _MONTHLY[level], "on": date_of(paid)}
            c.report("subsidy", "allowance-paid", subject, money, paid, district)
    if level in LEVELS and c.chance(0.5):
        claim(c, person, number, listed, level, day, district)


def laureate(c: Calendar, day: int) -> None:
    """A model worker, artisan or gold-blue-collar, who may ask a bank for a credit line."""
    district, person = c.district(), c.person()
    honour, rank, opens = c.random.choice(
        (
            ("gold-blue-collar", "district", True),
            ("gold-blue-collar", "city", True),
            ("model-worker", "city", True),
            ("model-worker", "province", True),
            ("artisan", "city", True),
            ("artisan", "district", False),
            ("outstanding-talent", "city", False),
        )
    )
    subject = f"honour/{c.number('BZ')}"
    data = {"honour": honour, "rank": rank, "person": person, "conferred_on": date_of(day)}
    c.report("competition", "honour-conferred", subject, data, day, district)
    if c.chance(0.03):
        c.report("competition", "honour-withdrawn", subject, {"reason": "弄虚作假"}, day + 60, district)
        return
    if not c.chance(0.6):
        return
    requested, line = day + c.random.randrange(10, 200), f"credit/{c.number('SX')}"
    amount = 10_000_000 * c.random.randrange(3, 15)
    request = {
        "person": person,
        "bank": c.invented.organisation("bank", district, 1),
        "amount_fen": amount,
        "requested_on": date_of(requested),
    }
    c.report(
        "subsidy", "credit-line-requested", line, request, requested, district, meant="accepted" if opens else "waiting"
    )
    if opens and amount > _HALF_OF_THE_CAP:
        second = f"credit/{c.number('SX')}"
        c.report("subsidy", "credit-line-requested", second, request, requested, district, meant="over-the-limit")
    elif opens and c.chance(0.3):
        closed = requested + 365
        c.report("subsidy", "credit-line-closed", line, {"closed_on": date_of(closed)}, closed, district)


def intern(c: Calendar, day: int) -> None:
    """A student of a partner school, in another province nearly always, who trains at an enterprise for half a year."""
    district = c.district()
    province = c.random.choice((*SOURCES_OF_LABOUR, "33"))
    data = {
        "person": c.person(),
        "school": c.invented.organisation("school", f"{province}0100", c.random.randrange(1, 40)),
        "school_province": province,
        "enterprise": some_enterprise(c, district),
        "starts_on": date_of(day),
        "until": date_of(day + 181),
    }
    c.report("recruitment", "practical-training-started", f"internship/{c.number('SX')}", data, day, district)


def title(c: Calendar, day: int) -> None:
    """A skilled worker given a professional title; now and then of a series that is not open yet."""
    district = c.district()
    opened = [series for series, month in SERIES if month * 30 <= day]
    series = c.random.choice(opened) if opened and not c.chance(0.04) else "sports"
    data = {
        "series": series,
        "person": c.person(),
        "title_level": c.random.choice(("junior", "intermediate", "intermediate", "senior")),
        "conferred_on": date_of(day),
    }
    meant = "series-not-open" if series == "sports" else "accepted"
    c.report("competition", "title-conferred", f"title/{c.number('ZC')}", data, day, district, meant=meant)
