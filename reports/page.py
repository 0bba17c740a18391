"""The report as one self-contained HTML page."""

import base64
from collections.abc import Mapping
from typing import Any

import jinja2

from mubinn.reports import figures, tables, text
from mubinn.reports.content import ReportContent
from mubinn.synth.table1.paper import LAW

SHOWN = (("3", "3"), ("FP", "FP"))
"""Entries whose delay model and units stand open on the page; all others are in a fold."""

ALTS = {name: alt for name, (_, alt) in figures.PICTURES.items()} | {
    "cell": "The units of the cell from the sums of its rows to its new state, with widths in bits."
}
"""What each picture shows, in words."""


def _embedded(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mubinn.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        seconds=text.seconds,
        printed=text.printed,
        ratio=text.ratio,
        count=text.count,
        percent=text.percent,
        used_by=text.used_by,
    )
    return environment


def page(content: ReportContent, pictures: Mapping[str, bytes]) -> str:
    """Return ``index.html``: no script, no resource from outside, the same text each time.

    `pictures` are those of `mubinn.reports.figures.pictures`, and those of
    `mubinn.reports.cell.cell_pictures` where a cell is to be shown.
    """
    table = content.table1
    values: dict[str, Any] = {
        "content": content,
        "table": table,
        "levels": text.LEVELS,
        "binarized": text.BINARIZED,
        "variant_text": text.VARIANT_TEXT,
        "variant_columns": tables.VARIANT_COLUMNS,
        "law": LAW,
        "shown": [table.entry(a, w) for a, w in SHOWN],
        "headline": table.entry(*SHOWN[0]),
        "full": table.entry(*SHOWN[1]),
        "pictures": {
            name: {
                "light": _embedded(pictures[f"{name}.svg"]),
                "dark": _embedded(pictures[f"{name}-dark.svg"]),
                "alt": alt,
            }
            for name, alt in ALTS.items()
            if f"{name}.svg" in pictures
        },
        "table_columns": tables.TABLE_COLUMNS,
    }
    return _environment().get_template("index.html").render(values)
