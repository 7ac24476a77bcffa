"""Rules that refuse a report: one class each, whose name is the code, with its texts in both languages."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

_BOTH: Final = re.compile(r"(.*[\u4e00-\u9fff][^ \u4e00-\u9fff]*) ([^\u4e00-\u9fff]+)")


class Rule:
    """A rule that a report broke. `pointer` is a JSON pointer (RFC 6901) into the event; `values` fill the texts.

    Texts never quote what was sent (RULES A14): only counts, limits and names of our own may be filled in.
    """

    code: ClassVar[str]
    zh: ClassVar[str]
    en: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Name the code after the class; what derives from another rule is that rule, said in words of its own."""
        if Rule in cls.__bases__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, pointer: str | None = None, **values: str | int) -> None:
        self.pointer = pointer
        self.values = values

    def reason(self) -> dict[str, str]:
        """Return the reason as a receipt shows it: code, both texts, pointer where there is one."""
        values = {name: _in_both(value) for name, value in self.values.items()}
        zh = self.zh.format(**{name: zh for name, (zh, _) in values.items()})
        en = self.en.format(**{name: en for name, (_, en) in values.items()})
        reason = {"code": self.code_of(), "zh": zh, "en": en}
        if self.pointer is not None:
            reason["pointer"] = self.pointer
        return reason

    def code_of(self) -> str:
        """Return the code of this very reason."""
        return self.code


def _in_both(value: str | int) -> tuple[str | int, str | int]:
    """Return a value for the Chinese and for the English text: of `整数 an integer` to each its own part."""
    parts = _BOTH.fullmatch(value) if isinstance(value, str) else None
    return (parts[1], parts[2]) if parts else (value, value)


def defined(rule: type[Rule] = Rule) -> Iterator[type[Rule]]:
    """Yield every rule that a module of this process defines."""
    for child in rule.__subclasses__():
        yield child
        yield from defined(child)


def find(code: str) -> type[Rule]:
    """Return the rule of a code; raises LookupError when no module of this process defines it."""
    for rule in Rule.__subclasses__():
        if rule.code == code:
            return rule
    raise LookupError(f"no rule {code}")


# Not understood: the envelope, the schema, a checksum (RULES A8). These bind no id (A3).
class MissingAttribute(Rule):
    zh, en = (
        "缺少必填的一项。请补上后用原编号重发。",
        "A required envelope attribute is missing. Add it and send the report again.",
    )


class BadAttribute(Rule):
    """Says what the attribute must be that it points at."""

    zh, en = "这一项的格式或内容不正确。", "An envelope attribute has a wrong form or value."

    def reason(self) -> dict[str, str]:
        """Return the reason as a receipt shows it."""
        reason = super().reason()
        if self.pointer in _ATTRIBUTES:
            zh, en = _ATTRIBUTES[self.pointer]
            reason |= {
                "zh": f"这一项不合要求,应为:{zh}。",
                "en": f"The attribute has a wrong form or value; expected: {en}.",
            }
        return reason


# What each attribute must be, by its pointer.
_ATTRIBUTES: Final = {
    "/specversion": ("1.0", "1.0"),
    "/id": (
        "1 至 200 个字符,没有空格、全角字符和不可见字符",
        "1 to 200 characters, none of them a space, full-width or invisible",
    ),
    "/source": (
        "/districts/<6 位区划代码>/<系统名>,代码属于本计划",
        "/districts/<6 digits>/<system>, with a code of the plan",
    ),
    "/time": (
        "带时区的时刻,如 2024-03-05T09:00:00+08:00",
        "an instant with its offset, such as 2024-03-05T09:00:00+08:00",
    ),
    "/district": ("本计划的 6 位区划代码", "a code of the plan, six digits"),
    "/datacontenttype": ("application/json", "application/json"),
    "/corrects": (
        "所更正报告的编号;撤回、作废没有这一项",
        "the id of the report that is corrected; what takes a report back has none",
    ),
}


class UnknownType(Rule):
    zh, en = (
        "没有这种报告类型或版本。请核对报告类型的拼写。",
        "There is no report type of this name and version. Check the spelling of type.",
    )


class VersionEnded(UnknownType):
    """A former version of a type, after the last day on which it is taken."""

    zh, en = (
        "这类报告的旧版只收到 {until} 为止,请改按 {newest} 版填写后重报。",
        "This version was taken until {until}. Send the report in version {newest}.",
    )


class BadSubject(Rule):
    zh, en = "业务编号不符合这类报告的格式:{form}。", "The subject does not have the form of this type: {form}."


class SubjectMismatch(Rule):
    zh, en = "业务编号与内容中的同一项不一致。", "The subject disagrees with this field of the data."


class MissingField(Rule):
    zh, en = "缺少必填字段。", "A required field is missing."


class UnknownField(Rule):
    zh, en = "该类型没有这个字段,多半是拼写错误。", "This type has no such field; it is most likely a spelling mistake."


class BadValue(Rule):
    zh, en = "填写的内容不合要求,应为:{expected}。", "The field has a wrong type, range or value; expected: {expected}."


class BadDate(Rule):
    zh, en = "不是有效日期,应为 YYYY-MM-DD。", "This is not a valid date; it must be YYYY-MM-DD."


class BadChecksum(Rule):
    zh, en = "校验码不正确,请核对号码。", "The check digit is wrong; check the number."


class PersonalNumber(Rule):
    zh, en = (
        "此处含有身份证件号码,不得出现在这里;请换用不含个人信息的编号。",
        "This holds an identity number, which must not appear here; use a number that says nothing of a person.",
    )


class NotAnEvent(BadValue):
    zh, en = "批量中的这一项不是 JSON 对象。", "This element of the batch is not a JSON object."


class NotJson(Rule):
    zh, en = (
        "收到的内容不是一个 JSON 对象:{seen_zh}。它在主题中的位置见 place。",
        "What came is not a JSON object: {seen_en}. Where it stands in the topic: place.",
    )


class NeverRead(Rule):
    zh, en = (
        "从 place 所示位置起的 {count} 条消息超过了主题的保留期,本服务没有读到。请把这段时间没有回执的报告重新报送。",
        "From the place on {count} messages outlived the topic's retention before they were read here. Send again the"
        " reports of that time that have no receipt.",
    )


class SendTo(Rule):
    """Misdirected: the code names the service that takes the type."""

    zh, en = "该类型由 {service} 服务受理,请发往那里。", "This type belongs to the {service} service; send it there."

    def code_of(self) -> str:
        return f"send-to-{self.values['service']}"


# Refused before any decision: who may report what (RULES A9, A10). These bind no id either.
class WrongDistrict(Rule):
    zh, en = "区划代码与来源中的不一致。", "The district disagrees with the code in the source."


class NotYourSource(Rule):
    zh, en = "您的凭据不能代表这个来源报告。", "Your credentials do not cover this source."


class OnlyTheWhole(Rule):
    """Only who answers for the whole area may report the type (RULES G3, G4); the contract names the code."""

    zh, en = (
        "这一类型只由全域的主管单位报告,区划代码须为全域代码(以 00 结尾)。",
        "Only who answers for the whole area reports this type; the district must be the whole's code (it ends in 00).",
    )

    def code_of(self) -> str:
        return "only-the-city"


class IdReused(Rule):
    zh, en = (
        "这个编号已用于内容不同的另一份报告。请换用新编号。",
        "This id was used before for a report with other content. Use a new id.",
    )


# Refused by a rule that holds for every type.
class NotYours(Rule):
    """The subject belongs to another district (RULES G1); which one, and what it reported, is not said (G6)."""

    zh = "该事项归其他区划,只由其所属区划报告。如有差错,请上级主管部门改定归属,或由其代为报告。"
    en = (
        "This subject belongs to another district, which alone reports on it. If that is wrong, who answers for the "
        "whole area can assign it to you, or report it itself."
    )


class InTheFuture(Rule):
    zh, en = "日期在未来:计划中的事不是事实。", "The date lies ahead: what is planned is not a fact yet."


class EndsBeforeStart(Rule):
    zh, en = "结束日期早于开始日期。", "The end lies before the start."


class NotOpen(Rule):
    zh, en = "该事项已经结束,不能再次结束。", "This has ended already; it cannot be ended again."


class AlreadyOpen(Rule):
    zh, en = "该事项已经报告过且仍然有效。", "This was opened before and still stands."


class NumberTaken(Rule):
    zh, en = "这个编号已经被占用。", "This number is taken already."


class NeverArrived(Rule):
    zh, en = "等待 {days} 天,所引用的事项仍未报告。", "What this refers to was not reported within {days} days."


# Refused when something is put right or taken back (RULES B).
class AlreadyCorrected(Rule):
    zh = "这份报告已被更正(编号 {by}),请针对最近一次更正。"
    en = "This report was corrected already, by id {by}; name the latest correction."


class AlreadyRetracted(Rule):
    zh, en = "这份报告已被撤回。", "This report was retracted already."


class NothingToCorrect(Rule):
    zh, en = "这份报告未被受理,无可更正;请重新报告。", "This report was refused: nothing to correct. Report anew."


class NothingToRetract(Rule):
    zh, en = (
        "所指并非可撤回的报告(未被受理,或本身就是撤回)。",
        "This was refused, or is itself a retraction: nothing to retract.",
    )


class OtherSubject(Rule):
    zh = "所指报告的业务编号或类型不同;这两项不能更正,请撤回后重新报告。"
    en = "The report named has another subject or type, which cannot be corrected: retract it and report anew."


class OpenedAgain(Rule):
    zh, en = "结束之后已重新开始,结束不能再改动。", "It was opened again since; the end can no longer be changed."


class Retracted(Rule):
    zh, en = "等待期间已由报告人撤回。", "Retracted by its sender while it waited."


class Voided(Retracted):
    """A waiting report was voided (RULES G4), by the same rules as if its sender had retracted it (B9)."""

    zh, en = (
        "等待期间已由上级主管部门作废。",
        "Voided by who answers for the whole area while it waited.",
    )


class Corrected(Rule):
    zh, en = "等待期间已由一份更正取代。", "Replaced by a correction while it waited."
