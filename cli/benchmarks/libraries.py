"""``mubinn bench libraries``: the units of the cells in FO4, library beside library.

Delays in FO4 take out how fast a process is; what is left are the libraries themselves. Each unit
is mapped to each by the same strategies, and of each the fastest result counts, as in ``mubinn
bench delay``. Beside the units stand the smallest cells of each library, measured alone in its own
FO4 (`mubinn.synth.liberty.library_figures`): they tell why a unit differs. Wires count nothing
anywhere.
"""

from collections.abc import Sequence
from typing import Any

from mubinn.cli.benchmarks.figures import figure, subject
from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.popcount import Popcount
from mubinn.synth.flow.flow import SynthJob, synthesize_many, tool_versions
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.library_figures import gate_figures
from mubinn.synth.table1.cell_units import CellUnit, cell_units
from mubinn.synth.table1.delay_model import Workload, delay_model
from mubinn.synth.table1.merged_cell import merged_delay_model, merged_layer, merged_units

LEVELS = (3, 3)
WORKERS = 2
GOAL = "0.75 to 1.25"


def bench_libraries(
    libraries: Sequence[Library] = (), model: FloatModel | None = None
) -> dict[str, Any]:
    """Return each unit's delay in FO4 of each library over that of the built-in one.

    Parameters
    ----------
    libraries : sequence of Library
    model : FloatModel, optional
        By default the bundled one.

    Raises
    ------
    MubinnError
        If there is no library to compare.
    """
    if not libraries:
        raise MubinnError("There is no library to compare: give its Liberty file with --liberty.")
    builtin, model = subject(None, model)
    load = Workload(model.features, model.layers[0].hidden)
    units = {
        **cell_units((None, None), None),
        **merged_units(merged_layer(calibrated(model), *LEVELS)),
        "popcount": CellUnit.of(Popcount, XnorMultiplierParams(load.features + load.hidden)),
    }
    jobs = {name: SynthJob(verilog_text(u.make(), u.kind), u.kind) for name, u in units.items()}
    fo4 = {lib.name: _delays(jobs, lib, load) for lib in (builtin, *libraries)}
    figures = [
        figure(f"{name}_{library.name}", fo4[library.name][name] / usual, "ratio", GOAL)
        for name, usual in fo4[builtin.name].items()
        for library in libraries
    ]
    about: dict[str, Any] = {"levels": f"{LEVELS[0]},{LEVELS[1]}", "library": builtin.name}
    for library in (builtin, *libraries):
        about[f"fo4_ps_{library.name}"] = library.fo4_ps
        about |= {f"{name}_fo4_{library.name}": d for name, d in fo4[library.name].items()}
        about |= {
            f"cell_{kind}_fo4_{library.name}": "none" if delay is None else delay
            for kind, delay in gate_figures(library).items()
        }
    return {"figures": figures, "versions": tool_versions(), "parameters": about}


def _delays(jobs: dict[str, SynthJob], library: Library, load: Workload) -> dict[str, float]:
    """Return the delays in FO4 of all units, of the serial cells, and the ratio of these."""
    made = synthesize_many(jobs, library=library, workers=WORKERS, generic=False)
    delays = {name: result.delay_fo4 for name, result in made.items()}
    full = delay_model((None, None), load).cell_delay(delays)
    merged = merged_delay_model().cell_delay(delays)
    return delays | {"serial_fp": full, "serial_3_3": merged, "serial_fp_over_3_3": full / merged}
