"""Tables as CSV: written in one way, and read where they have the columns that they are to have."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from mubinn.golden.ground.errors import MubinnError


def csv_text(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return columns and rows as CSV, lines ended by a line feed.

    >>> csv_text(["levels", "runs"], [["1,1", 3], ["2,2", None]])
    'levels,runs\\n"1,1",3\\n"2,2",\\n'
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def csv_rows(text: str, columns: Sequence[str], kind: str) -> Iterator[dict[str, str]]:
    """Return the rows of a table by column; `kind` names such tables.

    >>> list(csv_rows('levels,runs\\n"1,1",3\\n', ["levels", "runs"], "runs"))
    [{'levels': '1,1', 'runs': '3'}]

    Raises
    ------
    MubinnError
        The table has other columns.
    """
    rows = csv.DictReader(io.StringIO(text))
    if list(rows.fieldnames or ()) != list(columns):
        raise MubinnError(f"The table has no columns {', '.join(columns)}: give one of {kind}.")
    return rows
