"""What a caller may see of what others reported (RULES G6): one answer, which every route asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, assert_never

from starlette.requests import Request

from shared.http.access import Caller, caller_of
from shared.http.api_keys import Role


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whose reports are seen with subject, source and id.

    `codes`: those of the districts that are, None for all. `counts`: whether of all others it is seen how many there
    are a day and a type; figures are seen in any case.
    """

    codes: frozenset[str] | None = None
    counts: bool = True

    def sees(self, source: str) -> bool:
        """Tell whether what a source reported is seen whole."""
        return self.sees_district(source.split("/")[2])

    def sees_district(self, code: str) -> bool:
        """Tell whether what a district reported is seen whole."""
        return self.codes is None or code in self.codes


_ALL: Final = Visibility()
_FIGURES: Final = Visibility(frozenset(), counts=False)


def visibility_of(request: Request, successors: Mapping[str, str]) -> Visibility:
    """Return what the caller of a request may see; `successors`: the codes that took the place of former ones."""
    return visibility(caller_of(request), successors)


def visibility(caller: Caller, successors: Mapping[str, str] = MappingProxyType({})) -> Visibility:
    """Return what a caller may see, by the role of its key: everything while no keys are set.

    What was reported under a former code is that of its successor (RULES E28).
    """
    if caller.key is None:
        return _ALL
    match caller.key.role:
        case Role.PLANNER | Role.OPERATOR | Role.AUDITOR | Role.SERVICE:
            return _ALL
        case Role.READER:
            return _FIGURES
        case Role.DISTRICT:
            codes = {prefix.split("/")[2] for prefix in caller.key.prefixes}
            return Visibility(frozenset(codes.union(former for former, now in successors.items() if now in codes)))
        case role:
            assert_never(role)
