"""District codes of every plan in a folder, read without checking the plans: for topics, users and the map."""

from pathlib import Path

import yaml


def district_codes(plans: Path, *, former: bool = True) -> list[str]:
    """Return the six-digit codes of the districts of all plans, sorted.

    `former`: with the codes that they had before, whose senders correct and retract for ever (RULES E28).
    """
    codes: set[str] = set()
    for file in sorted(plans.glob("*.yaml")):
        plan = yaml.safe_load(file.read_text(encoding="utf-8"))
        for district in plan.get("districts", []):
            codes |= {str(entry["code"]) for entry in (district, *(district.get("formerly", ()) if former else ()))}
    return sorted(codes)
