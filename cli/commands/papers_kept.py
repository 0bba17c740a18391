"""``mubinn report --papers``: what `mubinn papers` has measured, beside the papers."""

from __future__ import annotations

from pathlib import Path

import click

from mubinn.cli.shared.common import print_json
from mubinn.golden.ground.files import check_folder, write_folder


def papers_report(output: Path, command: str, as_json: bool) -> None:
    """Write the page, the tables and the picture of the results that come along.

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
            }
            for own in found
            for line in own.lines
        ]
        print_json({"files": list(written), "results": rows})
        return
    click.echo(page)
    click.echo(f"Report: {output / 'papers.md'}")
