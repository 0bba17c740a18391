"""Table I with our own datapaths: its binarized entries anew, beside those of Figure 3.

==========  ========================================================================================
thresholds  sums as of Figure 3, one level pair after the other with its scale; after them codes
            alone: gates and c by searches among thresholds, Eq. (5) and (6) by tables
merged      scales that halve from level to level, so that all level pairs and the bias are one sum;
            after it as above
==========  ========================================================================================

Everything else is as in Table I: the library, the strategies of least delay for every unit, one
unit after the other, H T cells. Ratios are to the same entry (FP, FP).
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.threshold import own_offsets
from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.flow.flow import synthesize_many
from mubinn.synth.flow.result import SynthResult
from mubinn.synth.liberty.library import Library
from mubinn.synth.table1.cell_units import CellUnit, Start, first_layer, matrix_units
from mubinn.synth.table1.delay_model import ACCUMULATE, MULTIPLY, SCALE, DelayModel, Step
from mubinn.synth.table1.elaborate import Report, elaborate, stage
from mubinn.synth.table1.merged_cell import (
    CODE_STEPS,
    GATES,
    code_units,
    in_series,
    merged_delay_model,
    merged_layer,
    merged_units,
)
from mubinn.synth.table1.paper import CONFIGS
from mubinn.synth.table1.table import PS, Table1, Variant, VariantEntry

CELLS = tuple((a, w) for a, w in CONFIGS if a is not None and w is not None)
"""The entries (A, W) of a variant, row by row."""

DIAGONAL = tuple((a, w) for a, w in CELLS if a == w)
"""Those with as many levels of the input as of all else."""

Cell = tuple[dict[str, CellUnit], DelayModel]


def threshold_cell(layer: QuantizedLayer) -> Cell:
    """Return units and delay model of the cell with free scales and thresholds.

    ``4 P (t_xnor + t_mult + t_add) + 4 t_search``, P level pairs, and what follows z.
    """
    if own_offsets(layer.h):
        raise MubinnError("The table of thresholds is for cells that share the offset of h.")
    a, w = (layer.levels.count(name) for name in ("x", "w"))
    uses = GATES * max(a * w, w * layer.levels.count("h"))
    sums = (
        Step(("xnor_x", "xnor_h"), uses, MULTIPLY),
        Step(("mult_x", "mult_h"), uses, SCALE),
        Step(("add",), uses, ACCUMULATE),
    )
    return matrix_units(layer) | code_units(layer), in_series(*sums, *CODE_STEPS)


def merged_cell(start: Start, a: int, w: int) -> Cell:
    """Return units and delay model of the cell with shifted scales and thresholds."""
    return merged_units(merged_layer(start, a, w)), merged_delay_model()


def variant_cells(
    start: Start,
    progress: Report | None = None,
    merged: Collection[tuple[int, int]] = CELLS,
) -> dict[str, dict[tuple[int, int], Cell]]:
    """Return the cells of each variant by (A, W); `progress` is told of stage ``quantize``."""
    found: dict[str, dict[tuple[int, int], Cell]] = {"thresholds": {}, "merged": {}}
    for done, (a, w) in enumerate(CELLS, 1):
        found["thresholds"][a, w] = threshold_cell(first_layer(start, a, w))
        if (a, w) in merged:
            found["merged"][a, w] = merged_cell(start, a, w)
        if progress is not None:
            progress("quantize", done, len(CELLS))
    return found


def with_variants(
    table: Table1,
    library: Library,
    start: Start,
    *,
    merged: Collection[tuple[int, int]] = CELLS,
    progress: Report | None = None,
    workers: int = 2,
    cache_path: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> Table1:
    """Return a Table I with its variants, of the library and start that it was measured with.

    Parameters
    ----------
    table : Table1
    merged : collection of (A, W)
        The entries with merged sums, which take longer than all else together.
    library, start, progress, workers, cache_path, cancel
        As of `mubinn.synth.table1.table1.measure`; errors too.
    """
    cells = variant_cells(start, progress, merged)
    units = {
        unit.key: unit
        for several in cells.values()
        for own, _ in several.values()
        for unit in own.values()
    }
    results = synthesize_many(
        elaborate(units, workers, progress, cache_path, cancel),
        library=library,
        generic=False,
        workers=workers,
        progress=stage(progress, "synthesize"),
        cache_path=cache_path,
        cancel=cancel,
    )
    variants = tuple(
        Variant(
            name,
            tuple(_entry(table, config, *cell, results) for config, cell in several.items()),
        )
        for name, several in cells.items()
    )
    return replace(table, variants=variants)


def _entry(
    table: Table1,
    config: tuple[int, int],
    units: Mapping[str, CellUnit],
    delay_model: DelayModel,
    results: Mapping[str, SynthResult],
) -> VariantEntry:
    own = {role: results[unit.key] for role, unit in units.items()}
    delays = {role: result.delay_ps for role, result in own.items()}
    cell_ps = delay_model.cell_delay(delays)
    delay_s = cell_ps * table.hidden * table.steps * PS
    a, w = map(str, config)
    return VariantEntry(
        x_levels=a,
        w_levels=w,
        delay_s=delay_s,
        cell_ns=cell_ps / 1000,
        ratio=table.entry("FP", "FP").delay_s / delay_s,
        over_figure3=table.entry(a, w).delay_s / delay_s,
        area_um2=sum(result.area_um2 for result in own.values()),
        terms=delay_model.terms(),
        delays_ps=delays,
    )
