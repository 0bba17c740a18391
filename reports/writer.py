"""A report as a folder: written beside its place, then moved there whole."""

import json
from collections.abc import Mapping
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_folder
from mubinn.reports import figures, tables
from mubinn.reports.content import ReportContent
from mubinn.reports.page import page

MARK = "report.json"
"""Lists the files of a report; a folder without it is never replaced."""


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
    return listed({**files, **shown, **attached})


def listed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `files` and the list of them, by which a later report knows them as its own."""
    about = {"format": "mubinn-report", "files": sorted([*files, MARK])}
    return {**files, MARK: (json.dumps(about, indent=1) + "\n").encode()}


def check_target(target: Path) -> None:
    """Demand that a report may take the place of `target`; asked before long work begins.

    Raises
    ------
    MubinnError
        If it is a file, if its parent is missing, or if it holds anything that is no report's.
    """
    if not target.absolute().parent.is_dir():
        raise MubinnError(f"The folder {target.absolute().parent} does not exist: make it first.")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise MubinnError(f"{target} is not a folder: give another path for the report.")
    if not target.exists() or not any(target.iterdir()):
        return
    foreign = sorted(_present(target) - _listed(target))
    if foreign:
        raise MubinnError(
            f"{target} holds {foreign[0]}, which is no part of a report and would be lost: give an "
            "empty or a new folder."
        )


def _present(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def _listed(folder: Path) -> set[str]:
    try:
        listed = json.loads((folder / MARK).read_text())
        return set(listed["files"]) if listed["format"] == "mubinn-report" else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


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
        As `check_target` does, or if the folder cannot be written.
    """
    return write_files(render_report(content, attached or {}, pictures), target)


def write_files(files: Mapping[str, bytes], target: Path) -> tuple[str, ...]:
    """Write `files`, as `listed` returns them, as the folder `target`; see `write_report`."""
    check_target(target)
    write_folder(target, files)
    return tuple(files)
