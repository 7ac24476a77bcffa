"""A type with two versions: both are taken on one day and counted alike, and all that shows types shows both."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from typing import Any, Final

import jsonschema
import pytest

from shared.contract.events import Event, Opens
from shared.contract.shapes import Date
from tests.conftest import ROOT

FIRST: Final = "skillplan.recruitment.fair-held.v1"
SECOND: Final = "skillplan.recruitment.fair-held.v2"
SUNSET: Final = "2025-06-30"


@pytest.fixture(scope="module", name="published")
def published_fixture() -> dict[str, Any]:
    """What a process whose language has a second version of `fair-held` says of it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.second_version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    published: dict[str, Any] = json.loads(done.stdout)
    return published


@pytest.mark.parametrize(
    ("report", "status", "codes", "sunset"),
    [
        ("first", "accepted", [], SUNSET),
        ("second", "accepted", [], None),
        ("opened twice", "refused", ["already-open"], None),
        ("corrected in the second", "accepted", [], None),
        ("first to be taken back", "accepted", [], SUNSET),
        ("taken back", "accepted", [], None),
        ("same id, other version", "refused", ["id-reused"], SUNSET),
        ("faulty", "invalid", ["missing-field"] * 4, SUNSET),
        ("after the sunset", "invalid", ["unknown-type"], SUNSET),
    ],
)
def test_both_versions_are_decided_as_one_type(
    published: dict[str, Any], report: str, status: str, codes: list[str], sunset: str | None
) -> None:
    receipt = published["answers"][report]
    assert (receipt["status"], [reason["code"] for reason in receipt["reasons"]]) == (status, codes)
    assert receipt.get("sunset") == sunset


def test_a_former_version_is_taken_to_the_end_of_its_last_day_in_the_local_time(published: dict[str, Any]) -> None:
    assert published["last day"]
    (reason,) = published["answers"]["after the sunset"]["reasons"]
    assert reason["pointer"] == "/type"
    assert SUNSET in reason["zh"]
    assert "v2" in reason["en"]


def test_a_fact_keeps_the_type_and_the_data_of_its_report_and_means_what_the_newest_version_says(
    published: dict[str, Any],
) -> None:
    first, second, *_ = published["facts"]
    assert (first["type"], second["type"]) == (FIRST, SECOND)
    assert "on" in first["data"]
    assert "jobs" not in first["data"]
    assert published["events"][:4] == ["FairHeld"] * 4
    assert all(published["exact"])


def test_the_plan_counts_both_alike(published: dict[str, Any]) -> None:
    # One of the first version, corrected by one of the second; one of the second; one of the first, taken back.
    assert published["counted"] == [2, 2]


def test_lists_forms_samples_schemas_and_pages_show_both(published: dict[str, Any]) -> None:
    assert set(published["reported"]) == set(published["forms"]) == {FIRST, SECOND}
    assert published["names"][0] == f"{published['names'][1]}(旧版 v1,收到 {SUNSET})"
    assert f"until {SUNSET}" in published["form"]["name"]["en"]
    assert [sample["type"] for sample in published["samples"]] == [FIRST, SECOND]
    assert ["on" in sample["data"] for sample in published["samples"]] == [True, False]
    for type_, sample in zip((FIRST, SECOND), published["samples"], strict=True):
        jsonschema.validate(sample, published["schemas"][f"{type_.removeprefix('skillplan.')}.json"])
    names = [type_.removeprefix("skillplan.") for type_ in (FIRST, SECOND)]
    assert set(published["messages"]) == {f"{kind}.{name}" for kind in ("fact", "report") for name in names}
    assert "## recruitment.fair-held\n" in published["page"]
    assert f"the newest version: `{SECOND}`" in published["page"]
    assert "## recruitment.fair-held.v1\n" in published["page"]
    assert f"taken until {SUNSET}" in published["page"]
    assert "events/recruitment.fair-held.v2.json" in published["page"]


def test_a_table_without_a_word_on_its_version_is_of_the_newest(published: dict[str, Any]) -> None:
    assert published["guessed"] == SECOND


class _HeldV1(Event, subject="held/<no>", role=Opens(), dated="on", sunset=date(2025, 6, 30)):
    """讲座: A lecture."""

    on: Date


def test_a_class_says_which_version_it_is_or_is_refused() -> None:
    with pytest.raises(TypeError, match="has a sunset"):

        class _HeldV2(Event, former=_HeldV1):  # a newest version has no number in its name
            """讲座: A lecture."""

    with pytest.raises(TypeError, match="no version of it"):

        class _Other(Event, former=_HeldV1):
            """讲座: A lecture."""
