"""The catalogue of units: every class of the rooms of units, with the ports of an example.

The examples are units of cells of the bundled model's size: at (3, 3) as in Figure 3 of the paper
and on the threshold datapath, in full precision, and in 16-bit fixed point.
"""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data
from rooms import heading, write
from sphinx.application import Sphinx

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.model.model_file import load_float
from mubinn.hw.baseline.float_activation import FloatSegment
from mubinn.hw.stream.unit import StreamUnit
from mubinn.hw.units.popcount import Popcount
from mubinn.synth.table1.cell_units import CellUnit, cell_units, first_layer
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.fixed_cell import fixed_units, shared_units
from mubinn.synth.table1.merged_cell import bits_units, merged_layer, merged_units

ROOMS = ("units", "baseline")
LEVELS = 3
BITS = 16

INTRODUCTION = """
Every unit is one class with a golden function of the same name, parameters that both share, a bench
and a test. A unit is logic between an input stream ``i`` and an output stream ``o``: it takes no
clock cycle, and a register before or after it makes it a stage of a pipeline. Ports are those of an
example, a cell of the bundled model's size at (3, 3).
"""


def examples() -> dict[str, CellUnit]:
    """Return a unit of each class by the class's name."""
    model = load_float(bundled(FLOAT_MODEL))
    start = calibrated(model)
    layer = first_layer(start, LEVELS, LEVELS)
    merged = merged_layer(start, LEVELS, LEVELS)
    load = Workload(model.features, layer.hidden, 1)
    groups = [
        cell_units((LEVELS, LEVELS), layer),
        cell_units((None, None), None),
        cell_units((None, LEVELS), layer, decoded=True),
        cell_units((None, LEVELS), layer),
        merged_units(merged),
        bits_units(merged),
        fixed_units(BITS, load),
        shared_units(BITS, load),
    ]
    found = {unit.kind: unit for group in reversed(groups) for unit in reversed(group.values())}
    lanes = found["XnorMultiplier"].make().params
    tanh = FloatActivationParams("tanh")
    return {
        "Popcount": CellUnit.of(Popcount, lanes),
        "FloatSegment": CellUnit.of(FloatSegment, tanh),
        **found,
    }


def classes(room: str) -> Iterator[type[StreamUnit]]:
    """Yield the units of a room of hw/ in the order of their files."""
    package = import_module(f"mubinn.hw.{room}")
    for path in sorted(Path(package.__path__[0]).glob("*.py")):
        module = import_module(f"mubinn.hw.{room}.{path.stem}")
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__ and issubclass(found, StreamUnit):
                yield found


def fields(shape: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and shapes of the fields of a payload, nested ones with dots."""
    if isinstance(shape, data.ArrayLayout):
        length = shape.length
        for name, text in fields(shape.elem_shape, prefix):
            yield name, f"{length} of {text}"
    elif isinstance(shape, data.Layout):
        for name, field in shape:
            yield from fields(field.shape, f"{prefix}.{name}" if prefix else str(name))
    else:
        cast = Shape.cast(shape)
        yield prefix or "payload", f"{'signed' if cast.signed else 'unsigned'}({cast.width})"


def ports(unit: StreamUnit) -> Iterator[tuple[str, str, str]]:
    """Yield stream, field and shape of everything that a unit takes and gives."""
    for name, port in (("i", unit.i), ("o", unit.o)):
        for field, shape in fields(port.payload.shape()):
            yield name, field, shape


def table(rows: Iterator[tuple[str, ...]], columns: tuple[str, ...]) -> str:
    """Return a table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (columns, *rows):
        lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def entry(unit: type[StreamUnit], example: CellUnit) -> str:
    """Return the section of a unit."""
    module = inspect.getmodule(unit)
    assert module is not None
    stem = module.__name__.rpartition(".")[2]
    function = f"{module.__name__.replace('.hw.', '.golden.')}.{stem}"
    first = (inspect.getdoc(unit) or "").split("\n\n")[0]
    lines = [heading(unit.__name__, "-"), first, ""]
    lines += [f":Hardware: `mubinn.hw.{module.__name__.split('.', 2)[2]}.{unit.__name__}`"]
    if exists(function):
        lines += [f":Golden: `{function}`"]
    if example.parameters:
        shown = example.text if len(example.text) < 300 else f"{example.text[:300]} ..."
        lines += [f":Example: ``{shown}``"]
    marked = ((f"``{a}``", f"``{b}``", f"``{c}``") for a, b, c in ports(example.make()))
    return "\n".join([*lines, "", table(marked, ("stream", "field", "shape"))])


def exists(name: str) -> bool:
    """Return whether a golden function of this full name is there."""
    module, _, function = name.rpartition(".")
    try:
        return inspect.isfunction(getattr(import_module(module), function, None))
    except ModuleNotFoundError:
        return False


def write_catalogue(app: Sphinx) -> None:
    """Write the page into the source folder.

    Raises
    ------
    KeyError
        Naming a unit for which no cell here is an example.
    """
    made = examples()
    parts = [heading("Catalogue of units", "="), INTRODUCTION]
    for room in ROOMS:
        package = import_module(f"mubinn.hw.{room}")
        parts += [heading(f"hw.{room}", "~"), package.__doc__ or "", ""]
        parts += [entry(unit, made[unit.__name__]) for unit in classes(room)]
    write(Path(app.srcdir) / "units.rst", "\n".join(parts))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_catalogue)
    return {"parallel_read_safe": True}
