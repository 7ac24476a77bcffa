"""District codes of every plan in a folder, read without checking the plans: for topics, users and the map."""

from pathlib import Path

import yaml


def district_codes(plans: Path) -> list[str]:
    """Return the six-digit codes of the districts of all plans, sorted."""
    codes: set[str] = set()
    for file in sorted(plans.glob("*.yaml")):
        plan = yaml.safe_load(file.read_text(encoding="utf-8"))
        codes |= {str(district["code"]) for district in plan.get("districts", [])}
    return sorted(codes)
