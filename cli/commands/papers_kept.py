"""``mubinn report --papers``: what `mubinn papers` has measured, beside the papers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import print_json
from mubinn.golden.ground.files import check_folder, write_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def papers_report(output: Path, command: str, as_json: bool) -> None:
    """Write the page, the tables and the pictures of the results that come along.

    Raises
    ------
    MubinnError
        Nothing can be written.
    """
    from mubinn.reports.kept_papers import kept, kept_markdown, kept_pictures
    from mubinn.reports.papers import papers_csv
    from mubinn.reports.writer import MARK

    check_folder(output, MARK)
    found = kept()
    page = kept_markdown(found, command)
    tables = {f"{own.name}.csv": papers_csv(own.lines, own.measure).encode() for own in found}
    tables |= {name: text.encode() for own in found for name, text in own.tables.items()}
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
                "errors": _listed(own.frames.models[line.name] if own.frames else None),
                "curves": _listed(own.curves.runs[line.cell, line.name] if own.curves else None),
            }
            for own in found
            for line in own.lines
        ]
        print_json({"files": list(written), "results": rows})
        return
    click.echo(page)
    click.echo(f"Report: {output / 'papers.md'}")


def _listed(own: Mapping[int, NDArray[Any]] | None) -> dict[int, list[float]] | None:
    """Return values by seed, of frames or epochs; None where the task has none."""
    return None if own is None else {seed: values.tolist() for seed, values in own.items()}
