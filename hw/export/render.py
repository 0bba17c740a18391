"""The pages and files that are written from templates."""

from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import jinja2

Json: TypeAlias = dict[str, Any]
"""What JSON and the templates take."""


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML
    )


def render(template: str, values: Json) -> str:
    """Return a template of this package with `values` in it."""
    return _environment().get_template(template).render(**values)
