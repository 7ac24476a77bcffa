"""The shapes from which the dashboard's types are made are those of the API."""

from docs.generators.openapi import FILE, page


def test_the_shapes_of_the_api_are_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "run `make docs`"
