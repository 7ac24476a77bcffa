"""What a correction, a retraction, a voiding or a suspension does to the facts of the report it names (RULES B, G4)."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, assert_never

import msgspec

from services.projection.counting.facts import LogFact
from services.projection.counting.standing import StandingRow
from shared.contract.events import ReportRestored, ReportRetracted, ReportSuspended, ReportVoided

_Action = Literal["correction", "retraction", "suspension", "restoration"]
_ACTIONS: Final[Mapping[str, _Action]] = {
    ReportRetracted.type_name: "retraction",
    ReportVoided.type_name: "retraction",
    ReportSuspended.type_name: "suspension",
    ReportRestored.type_name: "restoration",
}
_ENDINGS: Final = tuple(f".{name}.v1" for name in _ACTIONS)


class TakingBack(NamedTuple):
    """What a fact does to an earlier report, and that report; `corrects`: the one that a restored report replaces."""

    action: _Action
    source: str
    report_id: str
    corrects: str | None = None


class _NamedReport(msgspec.Struct, gc=False):
    report_id: str
    source: str | None = None  # of a voided report; all others name one of their own source
    corrects: str | None = None


_named_report: Final = msgspec.json.Decoder(_NamedReport)


def taking_back(fact: LogFact) -> TakingBack | None:
    """Return which report a fact corrects, takes back, suspends or restores, None when it does none of these.

    Raises ValueError when its data does not name one.
    """
    if fact.corrects is not None:
        return TakingBack("correction", fact.reportsource, fact.corrects)
    if not fact.type.endswith(_ENDINGS):
        return None
    try:
        named = _named_report.decode(fact.data)
    except msgspec.DecodeError as error:
        raise ValueError(f"{fact.kind}: {type(error).__name__}") from error
    action = _ACTIONS[fact.kind.partition(".")[2]]
    return TakingBack(action, named.source or fact.reportsource, named.report_id, named.corrects)


def take_back(row: StandingRow, fact: LogFact, taken: TakingBack) -> None:
    """Note on one row what a fact does to its report, or to the correction that replaced it."""
    row.changed = True
    is_own = row.report_id == taken.report_id
    match taken.action:
        case "correction":
            if is_own:
                _replace(row, fact.reportid)
        case "suspension":
            # What a suspended correction replaced stays replaced: its own opening is gone as well (RULES B6).
            if is_own:
                row.suspended = True
        case "retraction":
            if is_own:
                row.retracted = True
            row.replaced_by = tuple(id_ for id_ in row.replaced_by if id_ != taken.report_id)  # RULES B1
        case "restoration":
            # It stands again, in the place of what it corrects.
            if is_own:
                row.retracted = False
            elif row.report_id == taken.corrects:
                _replace(row, taken.report_id)
        case _:
            assert_never(taken.action)
    row.in_force.change_to(not (row.retracted or row.suspended or row.replaced_by), fact.recordedat)


def _replace(row: StandingRow, by: str) -> None:
    if by not in row.replaced_by:
        row.replaced_by = (*row.replaced_by, by)


def take_place(rows: Sequence[StandingRow], originals: Sequence[StandingRow], own: Sequence[StandingRow]) -> None:
    """Give the rows of a correction the place of what they correct among the facts of their subject (RULES B4).

    Where what stood there was taken back meanwhile, and where an end now ends another thing, they have a place of their
    own. `own`: rows of the correction's own report, from when it was decided before.
    """
    for row in rows:
        same_use = [o for o in originals if (o.line, o.use) == (row.line, row.use) and o.report_id != row.report_id]
        if not same_use:
            continue
        original = max(same_use, key=lambda candidate: candidate.position)
        anew = original.suspended or any(other.suspended for other in own if other.report_id == row.report_id)
        if row.same == original.same and not anew:
            row.root = original.root
        elif anew:
            original.root, original.changed = row.position, True
