"""Layers in hardware side by side: what they take of a device, cycles, memory, and energy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate

from mubinn.reports.csv_text import csv_text

BINARY32 = "binary32"
"""The datapath of a float layer."""


@dataclass(frozen=True)
class LayerRow:
    """One layer of one model.

    Attributes
    ----------
    model, layer : str
        What the model is called, and cell and sizes, such as ``lstm 128, 128``.
    levels : str
        Such as ``x 8, w 1 bc, h 8, c 8, gate 8, b 8``; empty of floats.
    datapath : str
        ``figure3``, ``threshold`` or `BINARY32`.
    compared : int or None
        Values of a simulation on real windows, all equal to the bit-true model; None of floats.
    resources : mapping of str to float
        Of the device, by name; of floats those of units without control.
    cycles : int
        A step, of a sweep a pixel.
    bits : int
        Of all memories.
    dynamic_nj, leakage_nj, memory_nj : float
        A step; memories are an estimate.
    period_ps : float
        Least clock period in the cell library.
    parts_nj : mapping of str to float
        By cause, and by memory.
    """

    model: str
    layer: str
    levels: str
    datapath: str
    compared: int | None
    resources: Mapping[str, float]
    cycles: int
    bits: int
    dynamic_nj: float
    leakage_nj: float
    memory_nj: float
    period_ps: float
    parts_nj: Mapping[str, float]

    @property
    def step_nj(self) -> float:
        """All of a step."""
        return self.dynamic_nj + self.leakage_nj + self.memory_nj


def _names(rows: Sequence[LayerRow]) -> list[str]:
    """Return the resources that any row takes."""
    return list(dict.fromkeys(name for row in rows for name, n in row.resources.items() if n))


def layer_columns(rows: Sequence[LayerRow]) -> tuple[str, ...]:
    """Return the columns of `layer_texts`."""
    return (
        *("model", "cell; inputs, cells", "levels", "datapath", "values compared, all equal"),
        *_names(rows),
        *("cycles a step", "bits"),
        *("dynamic nJ", "leakage nJ", "memory nJ", "a step nJ", "floats over it"),
    )


def layer_texts(rows: Sequence[LayerRow]) -> list[tuple[str, ...]]:
    """Return the table as text.

    The last column is the energy of a binary32 layer of the same cell and sizes among `rows` over
    that of the row, empty where there is none.
    """
    floats = {row.layer: row.step_nj for row in reversed(rows) if row.datapath == BINARY32}
    return [
        (
            *(row.model, row.layer, row.levels or "-", row.datapath),
            "-" if row.compared is None else f"{row.compared:,}",
            *(f"{row.resources.get(name, 0):,g}" for name in _names(rows)),
            *(f"{row.cycles:,}", f"{row.bits:,}"),
            *(f"{nj:.4g}" for nj in (row.dynamic_nj, row.leakage_nj, row.memory_nj, row.step_nj)),
            f"{floats[row.layer] / row.step_nj:.3g}" if row.layer in floats else "",
        )
        for row in rows
    ]


def layer_files(rows: Sequence[LayerRow], about: Mapping[str, Any]) -> dict[str, bytes]:
    """Return ``layers`` as Markdown, CSV and JSON, by file name; JSON holds `about` as well."""
    columns, texts = layer_columns(rows), layer_texts(rows)
    markdown = tabulate(texts, headers=columns, tablefmt="github", disable_numparse=True)
    whole = {**about, "layers": [{**asdict(row), "step_nj": row.step_nj} for row in rows]}
    tables = {
        "layers.csv": csv_text(columns, texts),
        "layers.md": markdown + "\n",
        "layers.json": json.dumps(whole, indent=2) + "\n",
    }
    return {name: text.encode() for name, text in tables.items()}
