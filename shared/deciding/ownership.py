"""Whose a subject is (RULES G1, G3): nobody acts for another district."""

from collections.abc import Mapping

from shared.contract import rules
from shared.contract.decoder import is_whole
from shared.contract.events import Report, SubjectAssigned
from shared.contract.rules import Rule
from shared.deciding.view import View


def owner(subject: str, view: View, service: str) -> str | None:
    """Return the district that a subject belongs to, None when it is nobody's.

    It is the one that the last assignment in force names, else that of the first opening or *(latest stands)* report
    in force. A correction has the place of what it corrects, an assignment's its own (RULES B12).
    """
    assigned = [it for it in view.of_type(subject, SubjectAssigned.type_name) if it.fact.service == service]
    if assigned:
        last = max(assigned, key=lambda it: it.fact.position).event
        return last.to if isinstance(last, SubjectAssigned) else None
    first = view.first(subject, service)
    return first.fact.district if first is not None else None


def not_yours(report: Report, view: View, service: str, successors: Mapping[str, str]) -> Rule | None:
    """Return the rule that a report on another district's subject breaks, None when its sender may report on it.

    Who answers for the whole area may report on every subject, and a district on those of its former code (RULES E28).
    The whole area's own is no district's, whichever tries it in a sandbox (RULES A26).
    """
    if is_whole(report.district) or report.event.whole_only is not None:
        return None
    of = owner(report.subject, view, service)
    same = successors.get(of or "", of) == successors.get(report.district, report.district)
    return None if of is None or same else rules.NotYours("/subject")
