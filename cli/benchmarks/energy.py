"""``mubinn bench energy``: the energy of an inference in binary32 and binarized, and its parts.

Both sides with one library, mapped by the same strategies and pipelined by the same tool, each with
the netlists and stages that take it the least energy (`mubinn.synth.energy.energy_cell`). Their
activity is that of a simulation with glitches on windows of EEG. An inference is H cells in T steps
of the bundled float model's first layer; T is what its windows have. Memories are reckoned from a
published measurement (`mubinn.synth.energy.energy_memory`), and each ratio is given with and
without them. A library without a full-adder cell builds the binarized sums of gates, whose glitches
then take up to half of their energy; the parameter `full_adder_fo4` tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure, subject, subject_about
from mubinn.cli.shared.recordings import calibrated, open_labelled, prepared, spread
from mubinn.golden.model.float_model import FloatModel
from mubinn.reports.energy import COLUMNS, EnergyRow, energy_files, energy_rows
from mubinn.synth.energy.energy import EnergyLibrary
from mubinn.synth.energy.energy_cell import (
    CellOperation,
    Windows,
    float_operation,
    merged_operation,
)
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.library_figures import gate_figures
from mubinn.synth.table1.cell_units import Config

FULL: Config = (None, None)
CONFIGS: tuple[Config, ...] = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5))
WINDOWS = 8
GOALS = {"energy_fp_over_3_3": ">= 300"}


@dataclass(frozen=True)
class Energies:
    """Cell operations by configuration, (FP, FP) first.

    Attributes
    ----------
    operations : dict of Config to CellOperation
    cells, steps : int
        Of an inference: H, and T.
    data : str
        What the operands are of.
    """

    operations: dict[Config, CellOperation]
    cells: int
    steps: int
    data: str

    @classmethod
    def measure(cls, library: Library, model: FloatModel, configs: Sequence[Config]) -> "Energies":
        """Measure (FP, FP) and `configs`, on shared EEG where it is there, else synthetic."""
        recorded, name = open_labelled(None, features=model.features)
        x: Windows = prepared(model, recorded.x[spread(WINDOWS, np.arange(recorded.windows))])
        cells, start = EnergyLibrary.of(library), calibrated(model)
        operations = {FULL: float_operation(cells, model, x)}
        for a, w in configs:
            assert a is not None
            assert w is not None
            operations[a, w] = merged_operation(cells, start, a, w, x)
        return cls(operations, model.lstm_layers[0].hidden, x.shape[1], name)

    def figures(self) -> list[dict[str, Any]]:
        """Return the ratios of (FP, FP) to the others, with memories and of the logic alone."""
        full = self.operations[FULL]
        values: dict[str, float] = {}
        for config, found in self.operations.items():
            if config != FULL:
                name = "_".join(map(str, config))
                values[f"energy_fp_over_{name}"] = full.total_fj / found.total_fj
                values[f"logic_energy_fp_over_{name}"] = full.logic.total / found.logic.total
        return [figure(name, v, "ratio", GOALS.get(name, "")) for name, v in values.items()]

    def rows(self) -> list[EnergyRow]:
        """Return the table."""
        rows = []
        for (a, w), found in self.operations.items():
            uj = 1e-9 * self.cells * self.steps
            parts = found.logic.parts | found.memory_fj
            rows.append(
                EnergyRow(
                    f"{a or 'FP'},{w or 'FP'}",
                    {name: value * uj for name, value in parts.items()},
                    found.total_fj * self.cells * 1e-6,
                    found.settled_fj * uj,
                )
            )
        return rows

    def about(self) -> dict[str, Any]:
        """Return what was measured, for the parameters of a benchmark."""
        found: dict[str, Any] = {"data": self.data, "windows": WINDOWS}
        for config, operation in self.operations.items():
            name = "fp" if config == FULL else "_".join(map(str, config))
            logic = operation.logic.total
            found |= {
                f"logic_pj_per_cell_{name}": logic / 1000,
                f"memory_pj_per_cell_{name}": sum(operation.memory_fj.values()) / 1000,
                f"without_glitches_pj_per_cell_{name}": operation.settled_fj / 1000,
                f"half_of_the_vectors_{name}": operation.half_fj / logic,
                f"period_ps_{name}": operation.period_ps,
                f"units_{name}": ", ".join(
                    f"{unit} {one.strategy} x{one.stages}" for unit, one in operation.units.items()
                ),
            }
        return found


def bench_energy(
    library: Library | None = None,
    model: FloatModel | None = None,
    configs: Sequence[Config] = CONFIGS,
) -> dict[str, Any]:
    """Measure the energies.

    Parameters
    ----------
    library : Library, optional
        By default the built-in one.
    model : FloatModel, optional
        By default the bundled one.
    configs : sequence of (A, W)
    """
    library, model = subject(library, model)
    found = Energies.measure(library, model, configs)
    rows = found.rows()
    return {
        "figures": found.figures(),
        "tables": {"energy of an inference": {"columns": COLUMNS, "rows": energy_rows(rows)}},
        "versions": tool_versions(),
        "parameters": {
            **subject_about(library, model),
            "full_adder_fo4": gate_figures(library)["full_adder"] or "none",
            "steps": found.steps,
            **found.about(),
        },
        "files": energy_files(rows),
    }
