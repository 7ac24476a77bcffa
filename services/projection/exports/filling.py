"""Fills the templates of exports: every text is escaped, and a value that is missing is an error."""

from pathlib import Path
from typing import Final

import jinja2

TEMPLATES: Final = Path(__file__).parent / "templates"
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def filled(template: str, **values: object) -> str:
    """Return a template, by the name of its file, with these values."""
    return _ENVIRONMENT.get_template(template).render(values)
