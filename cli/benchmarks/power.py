"""``mubinn bench power``: energy of a step, of a window's decision, and average power of a layer.

The bundled float model's first layer, quantized at (1,1) and (3,3) with scales that are powers of
two and without training after it, is generated without the classifier, whose 2 rows beside 400
count nothing. Its netlist runs on 64 windows clock by clock with the outputs held to the bit-true
model (`mubinn.synth.energy.energy_layer`), once with memories and once with its constants as logic;
what the memories take is told by form (`mubinn.synth.energy.memory_forms`). Of constants as logic
it is what the whole layer takes more than one whose memories take nothing.

All of it is measured once more with clock gates before registers that hold their value
(`mubinn.synth.flow.strategies.gating`); the built-in library gets one.

Between steps the clock is stopped, and logic and memories leak; what wakes it is outside. Where no
leakage of memories is published for a library's process, the average is not told. Each library of
``--liberty`` is a further one. UP5K is an estimate from published currents.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mubinn.cli.benchmarks.figures import figure, subject_model, threshold_models
from mubinn.cli.benchmarks.kept import Keeper
from mubinn.cli.shared.recordings import input_codes, open_labelled
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.layer_folder import layer_designs
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.reports.power import (
    COLUMNS,
    PUBLISHED_COLUMNS,
    PowerRow,
    power_files,
    power_texts,
    published_texts,
)
from mubinn.synth.energy.energy import EnergyLibrary
from mubinn.synth.energy.energy_memory import Memory
from mubinn.synth.energy.energy_up5k import up5k_power
from mubinn.synth.energy.memory_forms import FORMS, MemoryForm
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.fpga.place_and_route import measure_logic
from mubinn.synth.liberty.library import Library, builtin_library
from mubinn.synth.netlist.activity import WORD

CALIBRATION = 256
"""Windows to which scales are fitted."""
RATE_HZ = 40.0
"""Steps a second of the bundled recordings' windows."""
LEVELS = (1, 3)
GOALS = {
    "nj_step_1_1": "<= 12",
    "nj_step_3_3": "<= 60",
    "uw_40hz_1_1": "< 5",
    "uw_40hz_3_3": "< 5",
}
UP5K = "ice40-up5k"
NJ, UW = 1e-6, 1e-3
"""nJ of a fJ, and uW of a nW."""

Say = Callable[[str], None]
Found = dict[str, Any]


def bench_power(
    libraries: Sequence[Library] = (),
    model: FloatModel | None = None,
    levels: Sequence[int] = LEVELS,
    progress: Say = lambda _: None,
) -> dict[str, Any]:
    """Measure the layer.

    Parameters
    ----------
    libraries : sequence of Library
        Beside the built-in one.
    model : FloatModel, optional
        By default the bundled one.
    levels : sequence of int
        n of each (n,n).
    progress : callable, optional
        Told what begins.

    Raises
    ------
    MubinnError
        As `layer_energy` does.
    """
    full = subject_model(model)
    made, about = threshold_models(full, CALIBRATION)
    recorded, _ = open_labelled(None, features=full.features)
    bench = _Bench(Keeper(), recorded.x, progress)
    rows: list[PowerRow] = []
    small: list[tuple[str, ...]] = []
    for count in levels:
        own = made(Levels.of(count, count))
        for library in (builtin_library(), *libraries):
            rows += bench.rows(own, library, f"{count},{count}", count**2)
        small.append(bench.up5k(own, f"{count},{count}"))
    parameters = {**about, "rate_hz": RATE_HZ, "windows_of_energy": WORD}
    versions = dict(tool_versions())
    return {
        "figures": _figures(rows),
        "tables": {
            "a step, its memories in several forms": {
                "columns": COLUMNS,
                "rows": power_texts(rows),
            },
            "estimate of UP5K, from published currents": {"columns": UP5K_COLUMNS, "rows": small},
            "what others publish": {"columns": PUBLISHED_COLUMNS, "rows": published_texts()},
        },
        "parameters": parameters,
        "versions": versions,
        "files": power_files(rows, {"parameters": parameters, "versions": versions}),
    }


UP5K_COLUMNS = ("A,W", "units", "cycles", "logic cells", "step nJ", "average uW")


def _figures(rows: Sequence[PowerRow]) -> list[dict[str, Any]]:
    """Return what takes the least energy a step with the built-in library, and what that costs."""
    found: dict[str, tuple[float, str]] = {}
    built_in = [row for row in rows if row.library == builtin_library().name]
    for levels in dict.fromkeys(row.levels for row in built_in):
        name = levels.replace(",", "_")
        for kind in ("", "gated_"):
            own = [r for r in built_in if r.levels == levels and bool(r.gates) == bool(kind)]
            if not own:
                continue
            best = min(own, key=lambda row: row.step_nj)
            found[f"nj_step_{kind}{name}"] = best.step_nj, "nJ"
            found[f"uj_window_{kind}{name}"] = best.window_uj, "uJ"
            if best.average_uw is not None:
                found[f"uw_{RATE_HZ:g}hz_{kind}{name}"] = best.average_uw, "uW"
        own = [row for row in built_in if row.levels == levels and not row.gates]
        loaded = [row.step_nj for row in own if row.loadable]
        found[f"nj_step_loadable_{name}"] = min(loaded), "nJ"
        today = [row.step_nj for row in own if row.form == "one" and row.units == 1]
        if today:
            found[f"nj_step_one_memory_{name}"] = today[0], "nJ"
    return [figure(name, *found[name], GOALS.get(name, "")) for name in found]


class _Bench:
    """What all rows are measured with."""

    def __init__(self, keeper: Keeper, x: Any, say: Say) -> None:
        self.keeper, self.x, self.say = keeper, x, say

    def rows(
        self, model: QuantizedModel, library: Library, levels: str, most: int
    ) -> list[PowerRow]:
        """Return the rows of a model with a multiplier for each level pair, then with clock gates.

        With the built-in library also those of one multiplier, and constants in memories.
        """
        codes = input_codes(model, self.x, WORD, None)[0]
        rows = []
        alone = library.sha256 == builtin_library().sha256
        for units in dict.fromkeys((1, most) if alone else (most,)):
            for gated in (False, True):
                own = builtin_library(clock_gates=True) if alone and gated else library
                cells, found = EnergyLibrary.of(own), {}
                for logic in (False, True) if units == most else (False,):
                    name = f"{own.name}, ({levels}), {units} units, logic {logic}, gates {gated}"
                    say = _saying(self.say, name)
                    design = layer_designs(model, units=units, logic=logic)[0]
                    found[logic] = self.keeper.layer_energy(cells, design, codes, say, gated=gated)
                for form in FORMS.values():
                    if form.logic in found:
                        about = (form, levels, units, codes.shape[1])
                        rows.append(power_row(own, *about, found[False], found[form.logic]))
        return rows

    def up5k(self, model: QuantizedModel, levels: str) -> tuple[str, ...]:
        """Return the estimate of UP5K with one multiplier, as text."""
        device = find_device(UP5K)
        design = layer_designs(model, device)[0]
        self.say(f"({levels}): mapping to {device.name} (Yosys)")
        counts = measure_logic(design.verilog, design.name, device).cells
        logic = next(iter(device.resources.values())).count(counts)
        cycles = cycles_per_step(design.layer.plan)
        found = up5k_power(cycles, logic, RATE_HZ)
        numbers = (f"{cycles}", f"{logic:,.0f}", f"{found.step_nj:.3g}", f"{found.average_uw:.3g}")
        return (levels, "1", *numbers)


def power_row(
    library: Library,
    form: MemoryForm,
    levels: str,
    units: int,
    steps: int,
    stored: Found,
    made: Found,
) -> PowerRow:
    """Return the row of a layer.

    Parameters
    ----------
    library : Library
    form : MemoryForm
    levels : str
    units : int
    steps : int
        Of a window.
    stored, made : dict
        What `Keeper.layer_energy` says of it with memories, and in the form.
    """
    memories = [Memory(**own) for own in made["memories"].values()]
    parts = dict(stored["logic"])
    clock = parts.pop("clock")
    del parts["leakage"]
    # Nothing, but for what the constants take as logic.
    more = sum(made["logic"].values()) - made["logic"]["leakage"] - clock - sum(parts.values())
    try:
        rests = [form.at_rest(memory, library) for memory in memories]
    except MubinnError:
        rests = None
    areas = [None] if rests is None else [rest.um2 for rest in rests]
    known = [area for area in areas if area is not None]
    nw, um2 = made["leakage_nw"] - stored["leakage_nw"], made["area_um2"] - stored["area_um2"]
    return PowerRow(
        library.name,
        levels,
        units,
        form.name,
        form.about,
        form.loadable,
        made["cycles"],
        steps,
        RATE_HZ,
        sum(parts.values()) * NJ,
        clock * NJ,
        (more + sum(form.energy_fj(memory, library) for memory in memories)) * NJ,
        made["logic"]["leakage"] * NJ,
        stored["leakage_nw"] * UW,
        None if rests is None else (nw + sum(rest.nw for rest in rests)) * UW,
        stored["area_um2"],
        um2 + sum(known) if len(known) == len(areas) else None,
        made["gates"],
    )


def _saying(say: Say, name: str) -> Say:
    return lambda what: say(f"{name}: {what}")
