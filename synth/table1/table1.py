"""Table I from our own synthesis: 36 entries, every unit of every one of them measured."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.synth.flow.flow import synthesize_many
from mubinn.synth.liberty.library import Library
from mubinn.synth.table1.cell_units import CellUnit, Config, Start, cell_units, first_layer
from mubinn.synth.table1.delay_model import PAPER, Workload
from mubinn.synth.table1.elaborate import Report, elaborate, stage
from mubinn.synth.table1.paper import CONFIGS
from mubinn.synth.table1.table import Form, Table1, assemble


def measure(
    library: Library,
    start: Start,
    *,
    steps: int = PAPER.steps,
    progress: Report | None = None,
    workers: int = 2,
    cache_path: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> Table1:
    """Measure every unit of every entry and put Table I together.

    Parameters
    ----------
    library : Library
        For delays and areas, the same for all entries.
    start : Start
        Gives the scales, hence the widths; its model's first layer gives I and H.
    steps : int
        Time steps T.
    progress : callable, optional
        Called as ``progress(what, done, total)`` through three stages: ``quantize``, ``elaborate``,
        ``synthesize``.
    workers : int
        Synthesis runs side by side.
    cache_path, cancel
        As for `mubinn.synth.flow.flow.synthesize_many`; an interrupted measurement resumes.

    Raises
    ------
    MubinnError
        If a unit cannot be synthesized with the library, or the model cannot be quantized.
    """
    layer = start.model.layers[0]
    load = Workload(layer.features, layer.hidden, steps)
    forms = all_forms(start, progress)
    jobs = elaborate(distinct_units(forms), workers, progress, cache_path, cancel)
    results = synthesize_many(
        jobs,
        library=library,
        workers=workers,
        progress=stage(progress, "synthesize"),
        cache_path=cache_path,
        cancel=cancel,
    )
    return assemble(forms, results, load, library)


def all_forms(start: Start, progress: Report | None = None) -> dict[Config, tuple[Form, ...]]:
    """Return the forms of all 36 cells, two of a mixed one, quantizing 25 times."""
    layers: dict[Config, QuantizedLayer] = {}
    binarized = [(a, w) for a, w in CONFIGS if a is not None and w is not None]
    for done, pair in enumerate(binarized, 1):
        layers[pair] = first_layer(start, *pair)
        if progress is not None:
            progress("quantize", done, len(binarized))
    forms: dict[Config, tuple[Form, ...]] = {}
    for config in CONFIGS:
        a, w = config
        own = None if w is None else layers[w if a is None else a, w]
        ways = (False, True) if (a is None) != (w is None) else (False,)
        forms[config] = tuple(Form(cell_units(config, own, decoded=d), d) for d in ways)
    return forms


def distinct_units(forms: Mapping[Config, Sequence[Form]]) -> dict[str, CellUnit]:
    """Return the units of all forms by key, each once."""
    return {
        unit.key: unit
        for several in forms.values()
        for form in several
        for unit in form.units.values()
    }
