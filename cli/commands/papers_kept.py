"""``mubinn report --papers``: what `mubinn papers` has measured, beside the papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mubinn.cli.shared.common import print_json
from mubinn.golden.ground.files import check_folder, write_folder

if TYPE_CHECKING:
    from mubinn.reports.kept_papers import Kept


def papers_report(output: Path, command: str, as_json: bool) -> None:
    """Write the page, the tables and the pictures of the results that come along.

    Raises
    ------
    MubinnError
        Nothing can be written.
    """
    from mubinn.reports.kept_papers import FRAMES, kept, kept_markdown, kept_pictures
    from mubinn.reports.papers import papers_csv
    from mubinn.reports.writer import MARK

    check_folder(output, MARK)
    found = kept()
    page = kept_markdown(found, command)
    tables = {f"{own.name}.csv": papers_csv(own.lines, own.measure).encode() for own in found}
    tables |= {own.name + FRAMES: own.frames.to_csv().encode() for own in found if own.frames}
    files = {"papers.md": page.encode(), **tables, **kept_pictures(found)}
    written = write_folder(output, files, MARK)
    if as_json:
        rows = [
            {
                "task": own.name,
                "cell": line.cell,
                "method": line.name,
                own.measure.name: dict(line.values),
                "loss": dict(line.losses),
                "paper": line.printed,
                "paper_loss": line.printed_loss,
                "bit_true": line.bit_true,
                "errors": _errors(own, line.name),
            }
            for own in found
            for line in own.lines
        ]
        print_json({"files": list(written), "results": rows})
        return
    click.echo(page)
    click.echo(f"Report: {output / 'papers.md'}")


def _errors(own: Kept, name: str) -> dict[int, list[float]] | None:
    """Return the errors by frame of a method, by seed; None where the task has no frames."""
    if own.frames is None:
        return None
    return {seed: errors.tolist() for seed, errors in own.frames.models[name].items()}
