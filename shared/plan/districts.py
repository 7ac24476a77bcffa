"""District codes of every plan in a folder, read without checking the plans: for topics, users and the map.

Former codes are among them: their senders correct and retract for ever (RULES E28).
"""

from pathlib import Path

import yaml


def district_codes(plans: Path) -> list[str]:
    """Return the six-digit codes that the districts of all plans have and had, sorted."""
    codes: set[str] = set()
    for file in sorted(plans.glob("*.yaml")):
        plan = yaml.safe_load(file.read_text(encoding="utf-8"))
        for district in plan.get("districts", []):
            codes |= {str(entry["code"]) for entry in (district, *district.get("formerly", ()))}
    return sorted(codes)
