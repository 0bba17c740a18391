"""What is put on a device: a model's accelerator behind AXI, its Verilog, and what it takes.

Folders, synthesis and the benchmarks all take their Verilog from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mubinn.golden.folding.layer_plan import MAX_STEPS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.layer_state import StateKind
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.accelerator.axi_accelerator import accelerator_top
from mubinn.hw.accelerator.wishbone_accelerator import wishbone_top
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.boards.device import Device, clock_of
from mubinn.hw.export.names import module_name
from mubinn.hw.export.render import Json, render
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import without_contents
from mubinn.hw.wishbone.wishbone_top import WishboneTop

TOP = "mubinn"
MEMORY_BOX = "memory_box"
"""The cell that stands for a memory where logic alone is counted."""
CELLS = "cells.v"
"""Models of the device's own cells, for simulation."""

Bus: TypeAlias = Literal["axi", "wishbone"]


@dataclass(frozen=True)
class DesignOptions:
    """What is asked of the accelerator; None is the device's own or the whole.

    Attributes
    ----------
    lanes, units, sample_width, adc_width, loadable, max_steps, state, state_port
        Of `mubinn.hw.accelerator.accelerator.Accelerator`.
    bus : "axi" or "wishbone"
        AXI4-Stream and AXI4-Lite; or a Wishbone bus, whose words are registers and streams.
    width : int or None
        Of AXI: bits of TDATA.
    registers : bool or None
        Of AXI: add AXI4-Lite.
    settle, step_bits : int or None
        ``settle`` and ``bits`` of `mubinn.golden.model.stamp.Stamp`.
    name : str
        Of the top module, which all other modules' names begin with.
    """

    lanes: int | None = None
    units: int = 1
    sample_width: int | None = None
    adc_width: int | None = None
    loadable: bool = False
    bus: Bus = "axi"
    width: int | None = None
    registers: bool | None = None
    max_steps: int = MAX_STEPS
    state: StateKind = "cleared"
    state_port: bool = False
    settle: int | None = None
    step_bits: int | None = None
    name: str = TOP

    def __post_init__(self) -> None:
        """Raise `MubinnError` where no module can have the name, or an option is another bus's."""
        module_name(self.name)
        if self.bus != "axi" and (self.width, self.registers) != (None, None):
            raise MubinnError(
                "the words of a Wishbone bus have 32 bits, and registers are among them: leave "
                "the width and the registers to AXI."
            )


@dataclass(frozen=True)
class DeviceDesign:
    """A design and what it was made from.

    Attributes
    ----------
    device : Device
    options : DesignOptions
    top : AxiTop or WishboneTop
        Its ``core`` is the `mubinn.hw.accelerator.accelerator.Accelerator`.
    verilog : str
        Top module `name`.
    """

    device: Device
    options: DesignOptions
    top: AxiTop | WishboneTop
    verilog: str

    @property
    def name(self) -> str:
        """Name of the top module."""
        return self.options.name

    def window_cycles(self, steps: int) -> int:
        """Return the cycles from a window's begin to the next one's, input running ahead."""
        beats: int = self.top.reader.beats * self.top.reader.per_step
        return max(int(self.top.core.cycles_per_window(steps)), steps * beats)


def device_design(
    model: QuantizedModel, device: Device, options: DesignOptions | None = None
) -> DeviceDesign:
    """Return a model's accelerator for a device.

    Raises
    ------
    MubinnError
        On a configuration that the accelerator does not have.
    """
    options = options or DesignOptions()
    core: Json = {
        "lanes": options.lanes,
        "units": options.units,
        "sample_width": options.sample_width,
        "adc_width": options.adc_width,
        "loadable": options.loadable,
        "max_steps": options.max_steps,
        "state": options.state,
        "state_port": options.state_port,
        "stamp": Stamp(options.settle, options.step_bits),
        "network": device.network,
    }
    top: AxiTop | WishboneTop
    if options.bus == "wishbone":
        top = wishbone_top(model, **core)
    else:
        top = accelerator_top(
            model,
            width=options.width or device.width,
            registers=device.registers if options.registers is None else options.registers,
            **core,
        )
    text = verilog_text(top, options.name)
    if options.loadable:
        text = without_contents(text, single_port=device.single_port)
    return DeviceDesign(device, options, top, text)


def constraints(device: Device, ports: Mapping[str, int], top: str = TOP) -> dict[str, str]:
    """Return the file of constraints by name: the clock, and pins where all ports need one."""
    suffix, _ = device.constraints
    pins = device.locations(ports.items())
    values = {"device": device, "clock": clock_of(ports), "pins": pins}
    return {f"{top}.{suffix}": render(f"constraints.{suffix}", values)}


def device_cells(device: Device) -> dict[str, str]:
    """Return `CELLS` where the device's adder networks name cells of their own."""
    return {CELLS: render(f"{device.network}_cells.v", {})} if device.library else {}


def logic_script(device: Device, top: str) -> str:
    """Return a Yosys script that counts a design's logic alone, its memories being black boxes."""
    values = {"device": device, "command": device.command(top), "top": top, "box": MEMORY_BOX}
    return render("logic.ys", values)


@dataclass(frozen=True)
class Measured:
    """What Yosys made of a design.

    Attributes
    ----------
    cells : mapping of str to int
        Of the netlist, by type.
    versions : mapping of str to str
        Of the tools.
    """

    cells: Mapping[str, int]
    versions: Mapping[str, str]


def resources(device: Device, file: str, commands: str, measured: Measured | None) -> Json:
    """Return what a design takes of a device, as JSON types.

    Parameters
    ----------
    file : str
        The Verilog.
    commands : str
        Of Yosys, after reading it.
    measured : Measured or None
        None: the command is told alone, by which anyone can measure.
    """
    cells = measured.cells if measured else {}
    return {
        "command": f'yosys -p "read_verilog -sv {file}; {commands}; stat"',
        "versions": dict(measured.versions) if measured else {},
        "cells": dict(sorted(cells.items())),
        "used": {
            key: {
                "what": resource.name,
                "used": resource.count(cells),
                "available": resource.available,
                "counted": resource.formula(cells),
            }
            for key, resource in device.resources.items()
            if measured and resource.cells
        },
    }
