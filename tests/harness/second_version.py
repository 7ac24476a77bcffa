"""What becomes of a type that gets a second version: prints it as JSON, from a process of its own.

`python -m tests.harness.second_version` follows the recipe of CONTRIBUTING in the source of recruitment's language,
before anything else is imported; all that follows from it is the real thing: decoder and handler, the plan's lines,
forms, samples, schemas and pages.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

NOW_FIRST: Final = 'class FairHeld(Event, subject="fair/<no>", role=Opens(), dated="held_on"):'
FIRST: Final = '''
from datetime import date


class FairHeldV1(Event, subject="fair/<no>", role=Opens(), dated="on", sunset=date(2025, 6, 30)):
    """招聘会举办: A job fair or exchange that took place (measure 4.1)."""

    name: Text
    kind: Literal["job-fair", "exchange", "school-enterprise"]
    province: Province
    on: Date
    enterprises: Count
    jobs: Count | None = None

    def upcast(self) -> "FairHeld":
        """Return the fair in today's words; one that named no jobs had none."""
        return FairHeld(
            name=self.name, kind=self.kind, province=self.province, held_on=self.on,
            enterprises=self.enterprises, jobs=self.jobs or 0,
        )


'''
SECOND: Final = NOW_FIRST.replace("):", ", former=FairHeldV1):")


def _change_the_language() -> None:
    import services.recruitment as package  # noqa: PLC0415 - the language must be changed before anything reads it

    name = "services.recruitment.events"
    file = Path(package.__path__[0]) / "events.py"
    source = file.read_text(encoding="utf-8")
    assert source.count(NOW_FIRST) == 1
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    exec(compile(source.replace(NOW_FIRST, FIRST + SECOND), str(file), "exec"), module.__dict__)  # noqa: S102


def _report(id_: str, version: int, subject: str = "", **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"name": "春季招聘会", "kind": "job-fair", "province": "33", "enterprises": 40}
    data |= {"on": "2024-03-01"} if version == 1 else {"held_on": "2024-03-01", "jobs": 7}
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/districts/330681/hr",
        "type": f"skillplan.recruitment.fair-held.v{version}",
        "subject": f"fair/{subject or id_}",
        "time": "2024-03-02T09:00:00+08:00",
        "district": "330681",
        "data": data,
    } | changes


def _retracted(id_: str, subject: str, of: str) -> dict[str, Any]:
    type_, data = "skillplan.recruitment.report-retracted.v1", {"report_id": of, "reason": "误报"}
    return _report(id_, 1, subject, type=type_, data=data)


def main() -> None:
    """Print what became of it."""
    _change_the_language()
    from client.fields import reported_types  # noqa: PLC0415
    from client.sample import sample  # noqa: PLC0415
    from client.terms import type_name  # noqa: PLC0415
    from docs.generators import asyncapi, schemas  # noqa: PLC0415
    from docs.generators.catalogue import Catalogue  # noqa: PLC0415
    from docs.generators.types import service_types  # noqa: PLC0415
    from services.catalogue import languages  # noqa: PLC0415
    from services.gateway.forms import form_names, form_of  # noqa: PLC0415
    from services.gateway.tables.columns import best, guesses, templates  # noqa: PLC0415
    from services.projection.counting.lines import CompiledPlans  # noqa: PLC0415
    from shared.contract.decoder import Channel  # noqa: PLC0415
    from shared.contract.events import NotUnderstood  # noqa: PLC0415
    from shared.deciding import receipts  # noqa: PLC0415
    from shared.deciding.facts import decode_fact  # noqa: PLC0415
    from shared.plan.loading import load_plan  # noqa: PLC0415
    from tests.conftest import ROOT  # noqa: PLC0415
    from tests.harness.in_memory_store import InMemoryStore  # noqa: PLC0415
    from tests.harness.languages import decoder  # noqa: PLC0415
    from tests.harness.service_in_memory import ServiceInMemory  # noqa: PLC0415

    first, second = (f"skillplan.recruitment.fair-held.v{version}" for version in (1, 2))
    service = ServiceInMemory("recruitment")
    sent = {
        "first": _report("a", 1),
        "second": _report("b", 2),
        "opened twice": _report("c", 2, "a"),
        "corrected in the second": _report("d", 2, "a", corrects="a"),
        "first to be taken back": _report("e", 1),
        "taken back": _retracted("f", "e", "e"),
        "same id, other version": _report("b", 1),
        "faulty": _report("g", 1, data={"name": "x"}),
    }
    answers = {name: service.send(report)[0] for name, report in sent.items()}
    after = datetime(2025, 7, 1, 1, tzinfo=UTC)
    late = decoder("recruitment").decode(_report("late", 1), Channel(), after)
    last = decoder("recruitment").decode(_report("last", 1), Channel(), datetime(2025, 6, 30, 15, 59, tzinfo=UTC))
    assert isinstance(late, NotUnderstood)
    answers["after the sunset"] = json.loads(receipts.not_decided(late, "recruitment", after))

    plan = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
    store = InMemoryStore(CompiledPlans([plan]))
    facts = service.facts()
    store.apply(facts)
    indicator = plan.indicators["4.1.a"][1]
    day, known_at = plan.period.last, datetime(2100, 1, 1, tzinfo=UTC)
    decoded = [decode_fact(languages(), fact, ()) for fact in facts]
    headers = [column.header for column in templates()[second].columns]
    json.dump(
        {
            "answers": answers,
            "last day": not isinstance(last, NotUnderstood),
            "facts": facts,
            "events": [type(fact.event).__name__ for fact in decoded],
            "exact": [json.loads(fact.encode()) == recorded for fact, recorded in zip(decoded, facts, strict=True)],
            "counted": [store.cell(plan, indicator, at, "2024", day, known_at)[0] for at in (None, "330681")],
            "reported": [type_ for type_ in reported_types() if ".fair-held." in type_],
            "samples": [sample(first), sample(second)],
            "names": [type_name(first), type_name(second)],
            "forms": [form.type for form in form_names().forms if ".fair-held." in form.type],
            "form": form_of(first).model_dump(),
            "guessed": best(guesses(headers)),
            "schemas": {name: schema for name, schema in schemas.catalogue().items() if ".fair-held." in name},
            "messages": [name for name in asyncapi.document()["components"]["messages"] if ".fair-held." in name],
            "page": service_types(languages()["recruitment"], Catalogue()),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
