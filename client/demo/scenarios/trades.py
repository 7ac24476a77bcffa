"""What the districts of the demo are made of: their trades, and the enterprises and schools one meets there."""

from __future__ import annotations

from typing import Final, NamedTuple

from client.demo.calendar import Calendar

EMERGING: Final = ("high-end-equipment", "new-materials", "electronic-information", "modern-medicine")


class Occupation(NamedTuple):
    """An occupation of the 2022 classification and the industry that employs it."""

    code: str
    name: str
    industry: str


TURNER: Final = Occupation("6-18-01-01", "车工", "high-end-equipment")
MILLER: Final = Occupation("6-18-01-02", "铣工", "high-end-equipment")
WELDER: Final = Occupation("6-18-02-04", "焊工", "high-end-equipment")
FITTER: Final = Occupation("6-20-01-01", "装配钳工", "high-end-equipment")
CHIP_MAKER: Final = Occupation("6-25-02-05", "半导体芯片制造工", "electronic-information")
CHIP_TESTER: Final = Occupation("6-25-02-06", "集成电路测试工", "electronic-information")
ROBOT_OPERATOR: Final = Occupation("6-30-99-00", "工业机器人系统操作员", "electronic-information")
PHARMACIST: Final = Occupation("6-12-03-00", "药物制剂工", "modern-medicine")
SYNTHESIST: Final = Occupation("6-12-01-00", "化学合成制药工", "modern-medicine")
FIBRE_MAKER: Final = Occupation("6-13-01-02", "化纤聚合操作工", "new-materials")
DYER: Final = Occupation("6-04-06-02", "印染染色工", "other")
ELECTRICIAN: Final = Occupation("6-31-01-03", "电工", "other")
CARER: Final = Occupation("4-10-01-05", "养老护理员", "other")
NURSERY_NURSE: Final = Occupation("4-10-01-03", "保育师", "other")
HOUSEKEEPER: Final = Occupation("4-10-01-06", "家政服务员", "other")

TRADES: Final = (
    TURNER, MILLER, WELDER, FITTER, CHIP_MAKER, CHIP_TESTER, ROBOT_OPERATOR, PHARMACIST, SYNTHESIST, FIBRE_MAKER, DYER,
    ELECTRICIAN,
)  # fmt: skip
_TRADE_WEIGHTS: Final = {
    "330602": (3, 2, 2, 2, 6, 5, 4, 2, 1, 2, 2, 3),
    "330603": (2, 1, 2, 2, 1, 1, 2, 1, 1, 5, 8, 3),
    "330604": (2, 2, 2, 2, 1, 1, 2, 4, 5, 5, 2, 3),
    "330624": (6, 5, 3, 5, 1, 1, 3, 5, 5, 1, 1, 2),
    "330681": (5, 4, 4, 4, 2, 1, 3, 1, 1, 3, 4, 3),
    "330683": (4, 4, 4, 4, 1, 1, 2, 2, 1, 1, 3, 5),
}
SHORTAGE: Final = (
    TURNER, MILLER, FITTER, CHIP_MAKER, CHIP_TESTER, ROBOT_OPERATOR, PHARMACIST, FIBRE_MAKER, ELECTRICIAN,
)  # fmt: skip
SUBSIDISED: Final = (*TRADES, CARER, NURSERY_NURSE)
LEVELS: Final = ("5", "4", "3", "2", "1")
_BASES: Final = {"5": 60_000, "4": 90_000, "3": 150_000, "2": 200_000, "1": 250_000}
SOURCES_OF_LABOUR: Final = ("36", "53", "52", "41", "51", "34", "61")  # provinces

# Month in which each opened, counted from the first; sports is still to come.
SERIES: Final = (
    ("engineering", 1),
    ("technical-school-teachers", 2),
    ("arts-and-crafts", 5),
    ("agriculture", 10),
    ("laboratory-technology", 15),
    ("arts", 21),
    ("cultural-relics-and-museums", 27),
)


def some_trade(c: Calendar, district: str) -> Occupation:
    """Pick an occupation, as common as it is in the district."""
    return c.random.choices(TRADES, _TRADE_WEIGHTS[district])[0]


def some_enterprise(c: Calendar, district: str) -> dict[str, str]:
    """Pick an enterprise; some have far more to report than others."""
    return c.invented.organisation("enterprise", district, int(c.random.random() ** 2 * 400))


def some_school(c: Calendar, district: str) -> dict[str, str]:
    """Pick one of the vocational schools."""
    return c.invented.organisation("school", district, c.random.randrange(1, 5))


def some_provider(c: Calendar, district: str) -> dict[str, str]:
    """Pick a training provider."""
    return c.invented.organisation("provider", district, c.random.randrange(1, 9))


def base_fen(occupation: Occupation, level: str) -> int:
    """Return the demo's subsidy standard: odd fen here and there, so that rounding has something to do."""
    return _BASES[level] + SUBSIDISED.index(occupation) * 1_001
