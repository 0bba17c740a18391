"""``mubinn report --accuracy``: tables and pictures of training runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mubinn.cli.shared.common import print_json
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import check_folder, write_folder

if TYPE_CHECKING:
    from mubinn.reports.accuracy import Run


def accuracy_report(
    asked: bool, logs: Path | None, output: Path, command: str, as_json: bool
) -> None:
    """Write the accuracy report of the runs in `logs`, or of those that come along.

    Raises
    ------
    MubinnError
        Where --logs stands alone, the folder holds no finished run, or nothing can be written.
    """
    from mubinn.reports import accuracy, accuracy_tables
    from mubinn.reports.accuracy_figures import accuracy_pictures
    from mubinn.reports.writer import MARK

    if not asked:
        raise MubinnError("--logs belongs to --accuracy: give both.")
    check_folder(output, MARK)
    runs = accuracy.measured() if logs is None else logged(logs)
    found = accuracy.groups(runs)
    files = {
        "accuracy.md": accuracy_tables.accuracy_markdown(found, command).encode(),
        "accuracy.csv": accuracy_tables.accuracy_csv(found).encode(),
        **accuracy_pictures(found),
    }
    written = write_folder(output, files, MARK)
    if as_json:
        print_json(
            {
                "files": list(written),
                "accuracies": [
                    {"name": g.name, "mean": g.mean, "spread": g.spread, "loss": g.loss}
                    for g in found
                ],
            }
        )
        return
    click.echo(files["accuracy.md"].decode())
    click.echo(f"Report: {output / 'accuracy.md'}")


def logged(folder: Path) -> list[Run]:
    """Return the finished runs of a folder of runs; raise `MubinnError` where it is unusable."""
    from mubinn.reports.accuracy import Run
    from mubinn.train.runs.sweep import LOG, is_finished, summary

    if not folder.is_dir():
        raise MubinnError(f"{folder} is no folder of runs: give one that mubinn train --runs made.")
    found = []
    for log in sorted(folder.glob(f"*/{LOG}")):
        if is_finished(log.parent):
            found.append(Run.of(summary(log)))
    return found


def collected(folder: Path) -> str:
    """Return the finished runs of `folder` as the JSON that comes with the program."""
    from mubinn.train.runs.sweep import LOG, is_finished, summary

    logs = [log for log in sorted(folder.glob(f"*/{LOG}")) if is_finished(log.parent)]
    return json.dumps({"runs": [summary(log) for log in logs]}, indent=1) + "\n"
