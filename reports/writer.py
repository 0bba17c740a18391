"""A report as a folder: written beside its place, then moved there whole."""

from collections.abc import Mapping
from pathlib import Path

from mubinn.golden.ground.files import write_folder
from mubinn.reports import figures, tables
from mubinn.reports.content import ReportContent
from mubinn.reports.page import page

MARK = "report.json"
"""Lists the files of a report, or of anything else that holds tables and pictures."""


def render_report(
    content: ReportContent,
    attached: Mapping[str, bytes],
    pictures: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return all files of a report by relative path, the same bytes for the same content.

    Parameters
    ----------
    content : ReportContent
    attached : mapping of str to bytes
        Generated files that go with it, by relative path.
    pictures : mapping of str to bytes, optional
        What `mubinn.reports.figures.pictures` gave for the same table; drawn by default.
    """
    table = content.table1
    drawn = figures.pictures(table) if pictures is None else pictures
    files = {
        "index.html": page(content, drawn).encode(),
        "table1.csv": tables.table1_csv(table).encode(),
        "variants.csv": tables.variants_csv(table).encode(),
        "units.csv": tables.units_csv(table).encode(),
        "table1.md": tables.markdown(table, content.command).encode(),
        "table1.tex": tables.latex(table).encode(),
    }
    shown = {name: data for name, data in drawn.items() if "-dark" not in name}
    return {**files, **shown, **attached}


def write_report(
    content: ReportContent,
    target: Path,
    attached: Mapping[str, bytes] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> tuple[str, ...]:
    """Write the report as the folder `target`, whole or not at all; return its files.

    Raises
    ------
    MubinnError
        If `target` holds anything that is no report's, or cannot be written.
    """
    return write_folder(target, render_report(content, attached or {}, pictures), MARK)
