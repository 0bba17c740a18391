"""Every unit's bench: it passes on Icarus too, and it fails on a broken unit."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Value
from simulators import QUICK, needs_icarus

import mubinn.sim
from mubinn.golden.units.merged_dot import DotPart
from mubinn.hw.stream.unit import StreamUnit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.testbench.compare import SimulationMismatch

COUNT = 300

# Sizes of the parameters by stem, where they have no defaults.
SIZES: dict[str, tuple[Any, ...]] = {
    "activation": ("tanh",),
    "bias_add": (3, 24, 10, 28),
    "code_table": ((3, -2, 7, 0),),
    "float_activation": ("sigmoid",),
    "float_to_fixed": (16, 8),
    "level_table": (2,),
    "mac": (3, 8, 12, 24),
    "merged_dot": ((DotPart("x", 5, (1, 0), (1, 0)), DotPart("h", 9, (0,), (0,))), 6),
    "mlb_decoder": (3, 9, 8, 12),
    "mlb_encoder": (3, 12, 11, 10),
    "pointwise": (3, 3, 3, 3, True, False, True, False, 12, 18),
    "requantize": (24, 14, 12, 8),
    "scaling_mult": (9, 16),
    "threshold_search": (8, ((0, -20, 30), (5, -7, 9))),
    "xnor_multiplier": (33,),
}
# Room of every bench that has a golden function, which those of sequenced designs have not.
ROOMS = {
    path.stem.removeprefix("tb_"): path.parent.name
    for path in sorted(Path(mubinn.sim.__file__ or "").parent.glob("*/tb_*.py"))
    if hasattr(import_module(f"mubinn.sim.{path.parent.name}.{path.stem}"), "golden")
}


class Broken(StreamUnit):
    """A unit whose lowest output bit is wrong for one input in eight."""

    def __init__(self, unit: Any) -> None:
        self.unit = unit
        super().__init__(unit.i.payload.shape(), unit.o.payload.shape())

    def compute(self, m: Module) -> None:
        m.submodules.unit = self.unit
        fault = Value.cast(self.i.payload)[:3].all()
        m.d.comb += [
            Value.cast(self.unit.i.payload).eq(Value.cast(self.i.payload)),
            Value.cast(self.o.payload).eq(Value.cast(self.unit.o.payload) ^ fault),
        ]


def make(stem: str) -> tuple[Any, Any]:
    """Return the unit and its parameters."""
    name = "".join(part.capitalize() for part in stem.split("_"))
    place = f"{ROOMS[stem]}.{stem}"
    unit = getattr(import_module(f"mubinn.hw.{place}"), name)
    kind = getattr(import_module(f"mubinn.golden.{place}"), f"{name}Params", None)
    if kind is None:
        return unit(), None
    params = kind(*SIZES.get(stem, ()))
    return unit(params), params


def bench_of(stem: str) -> str:
    return f"mubinn.sim.{ROOMS[stem]}.tb_{stem}"


def test_benches_are_found() -> None:
    assert {"mac", "xnor_multiplier"} <= set(ROOMS)


@needs_icarus
@pytest.mark.parametrize("stem", ROOMS)
def test_bench_on_icarus(stem: str) -> None:
    unit, params = make(stem)
    bench = import_module(bench_of(stem))
    fields = bench.stimulus(params, np.random.default_rng(1), COUNT)
    # Icarus takes its time; the whole stimulus is for Verilator.
    rows = np.unique(np.linspace(0, len(next(iter(fields.values()))) - 1, COUNT, dtype=int))
    result = check_unit(
        unit,
        bench=bench_of(stem),
        params=params,
        fields={name: np.asarray(values)[rows] for name, values in fields.items()},
        batch=8,
        simulator="icarus",
    )
    assert result.simulation.tests == 3
    assert result.transfers == COUNT


@pytest.mark.parametrize("stem", ROOMS)
def test_bench_fails_on_a_broken_unit(stem: str, tmp_path: Path) -> None:
    unit, params = make(stem)
    message = r"full_speed: unit Broken, transfer \d+, field \w+: expected \S+, got \S+; inputs"
    with pytest.raises(SimulationMismatch, match=message):
        check_unit(
            Broken(unit),
            bench=bench_of(stem),
            params=params,
            count=COUNT,
            batch=8,
            simulator=QUICK,
            run_dir=tmp_path,
        )
