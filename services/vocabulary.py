"""Vocabulary that services share: shapes whose values must be equal across them, and rules of the city's own office.

A shape stands here when a second service uses it: plans and evidence compare, say, a certificate's level in one service
with a subsidy's in another. What one service alone says stays in its `events`.
"""

from typing import Annotated, Final, Literal, get_args

from shared.contract.rules import AlreadyOpen, Rule, WrongDistrict
from shared.contract.shapes import described, form

Level = Literal["apprentice", "5", "4", "3", "2", "1", "special", "chief"]
Rank = Literal["district", "city", "province", "national"]
Industry = Literal["electronic-information", "modern-medicine", "high-end-equipment", "new-materials", "other"]
EmergingIndustry = Literal["electronic-information", "modern-medicine", "high-end-equipment", "new-materials"]

# Forms of the parts of subjects that are no plain number of a thing (RULES A12).
LEVEL_FORM: Final = "|".join(get_args(Level))
OCCUPATION_FORM: Final = r"[0-9]-[0-9]{2}-[0-9]{2}-[0-9]{2}"
MAJOR_FORM: Final = r"[0-9]{6}"
MEASURE_FORM: Final = r"[1-9]\.[1-9]"

OccupationCode = Annotated[
    str, form(OCCUPATION_FORM, "6-18-01-01 这样的编码 a code such as 6-18-01-01"), described(OCCUPATION_FORM)
]
MajorCode = Annotated[str, form(MAJOR_FORM, "6 位数字 six digits"), described(MAJOR_FORM)]
Province = Annotated[str, form(r"[0-9]{2}", "2 位数字 two digits"), described(r"[0-9]{2}")]


class NotOfTheCity(WrongDistrict):
    """The type counts for a district, never for the city itself (RULES E11)."""

    zh, en = (
        "这一类型按区、县(市)报告,不按市本级报告。请由所属区、县(市)报送。",
        "This type counts for a district, never for the city itself. Let the district report it.",
    )


class OnlyTheCity(Rule):
    """The rules of money and of the whole city are the city's (RULES G2)."""

    zh, en = (
        "这一类型关系全市,只由市本级报告,区划代码须为市本级代码。",
        "What holds for the whole city is the city's own to report; the district must be the city's code.",
    )


class ClosedBefore(AlreadyOpen):
    """A month is closed once (contract F7)."""

    zh = "本月已经关账,没有再次关账,公布的数字没有变动。要更正公布的数字,请申请重述。"
    en = (
        "The month is closed already; it was not closed again, and the published figures stand. To have them "
        "corrected, ask for a restatement."
    )


class RequestedBefore(AlreadyOpen):
    """A restatement, or an erasure, is asked for once under its number (contract C3)."""

    zh = "这个编号已有一份申请,没有另行登记。请查看那份申请,或换一个编号。"
    en = "There is a request of this number already; none was added. Look at that one, or take another number."


class OnlyThePlanOffice(WrongDistrict):
    """Only the city's own office may report the type (contract F1)."""

    zh, en = (
        "这一类型只由市计划办公室报告,区划代码须为市本级代码。",
        "Only the city's plan office reports this type; the district must be the city's own code.",
    )
