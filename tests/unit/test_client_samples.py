"""Where a report goes, and a valid sample of every type."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from client.__main__ import app
from client.fields import reported_types
from client.routing import CannotPublishError, route
from client.sample import sample
from tests.harness.languages import ALL, every_type, understood

HIRE: dict[str, Any] = {
    "type": "skillplan.recruitment.person-hired.v1",
    "source": "/districts/330681/employment",
    "subject": "hire/HT-1",
}


def test_a_report_goes_to_its_service_and_district_in_the_order_of_its_subject() -> None:
    assert (route(HIRE).topic, route(HIRE).key) == ("recruitment.reports.330681", b"hire/HT-1")


def test_the_source_says_whose_topic_it_is_whatever_the_district_attribute() -> None:
    assert route({**HIRE, "district": "330602"}).topic == "recruitment.reports.330681"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"type": "skillplan.payroll.goal-set.v1"}, "type"),
        ({"type": 7}, "type"),
        ({"type": None}, "type"),
        ({"source": "/districts/33068/employment"}, "source"),
        ({"source": None}, "source"),
        ({"subject": ""}, "subject"),
        ({"subject": 3}, "subject"),
    ],
)
def test_what_cannot_be_routed_is_said_in_both_languages_without_quoting_it(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(CannotPublishError, match=named) as raised:
        route({**HIRE, **wrong})
    assert all(str(value) not in str(raised.value) for value in wrong.values() if isinstance(value, str) and value)


def test_every_type_that_can_be_reported_has_a_sample() -> None:
    reported = {
        language.type_of(event) for language, event in every_type(ALL) if not event.decision and not event.reserved
    }
    assert set(reported_types()) == reported
    assert "skillplan.planning.period-submitted.v1" in reported


@pytest.mark.parametrize("type_", reported_types())
def test_a_sample_is_valid_and_can_be_routed(type_: str) -> None:
    made = sample(type_)
    assert made is not None
    understood(type_.split(".")[1], made)
    service, district = type_.split(".")[1], str(made["district"])
    sender = "office" if service == "planning" and district == "330600" else district
    assert route(made).topic == f"{service}.reports.{sender}"


def test_what_no_district_reports_has_no_sample() -> None:
    assert sample("skillplan.subsidy.subsidy-granted.v1") is None
    assert sample("skillplan.subsidy.nothing.v1") is None


def test_the_command_line_prints_a_sample_and_lists_the_reported_types() -> None:
    runner = CliRunner()
    printed = runner.invoke(app, ["sample", HIRE["type"]])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout)["type"] == HIRE["type"]
    assert runner.invoke(app, ["sample"]).stdout.split() == reported_types()
    unknown = runner.invoke(app, ["sample", "skillplan.x.y.v1"])
    assert unknown.exit_code == 2
    assert "no such type" in unknown.stderr


def test_what_the_city_voids_has_a_sample_and_no_template() -> None:
    runner, type_ = CliRunner(), "skillplan.enrollment.report-voided.v1"
    printed = json.loads(runner.invoke(app, ["sample", type_]).stdout)
    understood("enrollment", printed)
    assert printed["district"] == "330600"
    for wanted in (["--csv"], ["--mapping"]):
        refused = runner.invoke(app, ["sample", type_, *wanted])
        assert refused.exit_code == 2
        assert "skillplan plan" in refused.stderr
