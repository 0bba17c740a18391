"""Energy of netlists: by hand, against OpenSTA where it is installed, and of memories."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.threshold_search import threshold_search
from mubinn.synth.energy.energy import Energy, EnergyLibrary, netlist_energy
from mubinn.synth.energy.energy_cell import UnitMeter
from mubinn.synth.energy.energy_float import float_stimulus
from mubinn.synth.energy.energy_memory import Memory, access_pj, scale
from mubinn.synth.energy.energy_stimulus import merged_stimulus
from mubinn.synth.liberty import tech65_gates as tech
from mubinn.synth.liberty.library import builtin_library, parse_library
from mubinn.synth.liberty.tech65 import tech65_liberty
from mubinn.synth.netlist.activity_timed import activity
from mubinn.synth.netlist.netlist import netlist_cell as cell
from mubinn.synth.netlist.netlist import netlist_module as module
from mubinn.synth.table1.merged_cell import bits_units, merged_model, sum_params

LIBRARY = builtin_library()
CELLS = EnergyLibrary.of(LIBRARY)
HALF_V2 = 0.5 * tech.VDD**2
INTERNAL = tech.INTERNAL_SHARE * tech.P0_INV / tech.R_INV * tech.CIN_FF * tech.VDD**2


def test_two_inverters_by_hand():
    made = module(["a"], ["y"], u=cell("INV_X2", A="a", Y="b"), v=cell("INV_X1", A="b", Y="y"))
    found = netlist_energy(made, CELLS, {"a": 0.5, "b": 0.5, "y": 0.5}, 1000.0)
    pin = tech.CIN_FF
    # b drives one inverter, y the four of an output port, and a the two of INV_X2.
    assert found.switching == pytest.approx(0.5 * HALF_V2 * (pin + 4 * pin), rel=1e-5)
    assert found.inputs == pytest.approx(0.5 * HALF_V2 * 2 * pin, rel=1e-5)
    assert found.internal == pytest.approx(0.5 * (2 * INTERNAL + INTERNAL), rel=1e-5)
    area = tech.HEIGHT_UM * (0.8 + 0.6)
    assert found.leakage == pytest.approx(area * tech.LEAKAGE_NW_PER_UM2 * 1e-3, rel=1e-5)
    assert found.clock == 0
    assert found.total == pytest.approx(sum(found.parts.values()))


def test_a_resting_register_takes_its_clock():
    made = module(["clock", "d"], ["q"], f=cell("DFF_X1", CK="clock", D="d", Q="q"))
    found = netlist_energy(made, CELLS, {}, 0.0)
    cv2 = tech.CIN_FF * tech.VDD**2
    edges = 2 * (0.5 * cv2 + tech.CLOCK_PIN_CV2 * cv2)
    assert found == Energy(clock=pytest.approx(edges, rel=1e-5))


def test_a_register_behind_a_clock_gate_takes_the_edges_that_come():
    made = module(
        ["clock", "en", "d"],
        ["q"],
        g=cell("ICG_X1", CK="clock", EN="en", GCK="gated"),
        f=cell("DFF_X1", CK="gated", D="d", Q="q"),
    )
    cells = EnergyLibrary.of(builtin_library(clock_gates=True))
    found = netlist_energy(made, cells, {"en": 0.5}, 0.0, {"gated": 0.25})
    cv2 = tech.CIN_FF * tech.VDD**2
    gate = 2 * (0.5 * tech.ICG_CLOCK_CIN + tech.ICG_CLOCK_CV2) + 0.25 * 2 * tech.ICG_OUT_CV2
    register = 0.25 * 2 * (0.5 + tech.CLOCK_PIN_CV2)
    assert found.clock == pytest.approx((gate + register) * cv2, rel=1e-5)
    assert found.internal == pytest.approx(0.5 * tech.ICG_ENABLE_CV2 * cv2, rel=1e-5)
    assert found.switching == 0


def test_inputs_share_the_internal_energy_by_their_changes():
    made = module(["a", "b"], ["y"], u=cell("NAND2_X1", A="a", B="b", Y="y"))

    def internal(a, b):
        return netlist_energy(made, CELLS, {"a": a, "b": b, "y": 1.0}, 0.0).internal

    assert internal(0.3, 0.1) == pytest.approx(0.75 * internal(1, 0) + 0.25 * internal(0, 1))
    assert internal(1, 0) < internal(0, 1)
    assert internal(0, 0) == pytest.approx(internal(1, 1))


def test_libraries_without_energies_are_refused():
    text = tech65_liberty()
    made = module(["a"], ["y"], u=cell("INV_X1", A="a", Y="y"))
    bare = re.sub(r"internal_power \(\) \{.*\}", "", text)
    library = EnergyLibrary.of(parse_library([bare], "bare"))
    assert "no internal_power" in library.energy.lacks
    assert CELLS.energy.lacks == ""
    with pytest.raises(MubinnError, match="no internal_power"):
        netlist_energy(made, library, {"y": 1.0}, 0.0)
    library = EnergyLibrary.of(parse_library([re.sub(r"nom_voltage[^;]*;", "", text)], "flat"))
    assert "no voltage" in library.energy.lacks
    with pytest.raises(MubinnError, match="no voltage"):
        netlist_energy(made, library, {"y": 1.0}, 0.0)


TWO_INPUTS = module(
    ["clock", "a", "b", "c"],
    ["s", "y"],
    u=cell("XOR2_X1", A="a", B="b", Y="t"),
    v=cell("AND2_X2", A="t", B="c", Y="x"),
    f=cell("DFF_X1", CK="clock", D="x", Q="s"),
    w=cell("NAND2_X2", A="t", B="s", Y="y"),
)
TYPICAL = """operating_conditions (typical) { process : 1; voltage : 1.2; temperature : 25; }
  default_operating_conditions : typical;
"""


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")
def test_agrees_with_opensta(tmp_path):
    period, rate = 2000.0, 0.4
    nets = {net for c in TWO_INPUTS["cells"].values() for (net,) in c["connections"].values()}
    own = netlist_energy(TWO_INPUTS, CELLS, dict.fromkeys(nets, rate), period)
    text = tech65_liberty().replace("slew_derate_from", TYPICAL + "  slew_derate_from")
    (tmp_path / "cells.lib").write_text(text)
    names = ", ".join(TWO_INPUTS["ports"])
    lines = [f"module top ({names});", "wire t, x;"]
    lines += [f"{port['direction']} {n};" for n, port in TWO_INPUTS["ports"].items()]
    for name, one in TWO_INPUTS["cells"].items():
        pins = ", ".join(f".{pin}({net[0]})" for pin, net in one["connections"].items())
        lines.append(f"{one['type']} {name} ({pins});")
    (tmp_path / "top.v").write_text("\n".join([*lines, "endmodule"]) + "\n")
    script = f"""
        puts "version [sta::version]"
        read_liberty cells.lib
        read_verilog top.v
        link_design top
        create_clock -name c -period {period:g} [get_ports clock]
        set_input_delay 0 -clock c [get_ports {{a b c}}]
        set_load {4 * tech.CIN_FF} [all_outputs]
        set_power_activity -global -activity {rate} -duty 0.5
        report_power -digits 6
    """
    (tmp_path / "run.tcl").write_text(script)
    command = ["sta", "-no_splash", "-exit", "run.tcl"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    total = re.search(r"^Total((?:\s+[\d.eE+-]+){4})", run.stdout, re.MULTILINE)
    internal, switching, leakage, _ = (float(w) * period * 1e3 for w in total.group(1).split())
    # Version 2.0 takes the energies of a rising and of a falling edge for each change; later ones
    # take their mean.
    edges = 2 if "version 2.0." in run.stdout else 1
    assert switching == pytest.approx(own.switching, rel=1e-4)
    assert leakage == pytest.approx(own.leakage, rel=1e-4)
    pins = own.internal + own.clock - 2 * HALF_V2 * tech.CIN_FF
    assert internal / edges == pytest.approx(pins, rel=1e-4)


def test_memories_of_the_source_and_between():
    assert [access_pj(kb) for kb in (8, 32, 1024)] == pytest.approx([10, 20, 100])
    assert access_pj(16) == pytest.approx(10 * 2**0.5)
    assert access_pj(0.001) == access_pj(1) < 5
    assert scale(LIBRARY) == pytest.approx(65 / 45 * (1.2 / 0.9) ** 2, rel=1e-5)
    assert Memory(8 * 8192, 64).energy_fj(LIBRARY) == pytest.approx(1e4 * scale(LIBRARY))


def test_stimulus_is_what_the_golden_models_compute(random_float):
    model = random_float(0, hidden=8)
    x = np.random.default_rng(4).normal(size=(8, 6, model.features)).astype(np.float32)
    quantized = merged_model(calibrated(model), 3, 2)
    layer = quantized.lstm_layers[0]
    params = sum_params(layer)
    fields = merged_stimulus(quantized, params, x)
    rows = {name: values.astype(np.int64) for name, values in fields["merged"].items()}
    total = rows["row"] + rows["step"]
    for part in params.parts:
        weights = np.left_shift(4, np.add.outer(part.shifts, part.w_shifts))
        left, right = 1 - rows[part.name], 1 - rows[f"w{part.name}"]
        total += np.einsum("nak,nwk,aw->n", left, right, weights) - part.peak
    assert (total == fields["search_gate"]["value"]).all()
    sums = fields["step_sum"]["a"] + fields["step_sum"]["b"]
    lanes = layer.features + layer.hidden
    assert (sums[lanes - 1 :: lanes] == rows["step"][:: layer.wx.rows][: len(sums) // lanes]).all()
    table = dict(bits_units(layer)["step_table"].parameters)["words"]
    assert (np.array(table)[fields["step_table"]["index"]] == fields["step_sum"]["b"]).all()
    search, table = (layer.lowered[name].operation.params for name in ("f", "_fc"))
    gate = threshold_search(search, fields["search_gate"]["value"], fields["search_gate"]["tree"])
    mask = (1 << layer.levels.count("gate")) - 1
    f, i = (fields[name]["index"] & mask for name in ("fc", "ig"))
    cells = len(gate) // 4
    assert (gate.reshape(-1, 4)[:, 0] == f[:cells]).all()
    assert (gate.reshape(-1, 4)[:, 1] == i[:cells]).all()
    words = code_table(table, fields["fc"]["index"])
    assert (words[: len(fields["sum_c"]["a"])] == fields["sum_c"]["a"]).all()


def values(fields, name):
    bits = fields[f"{name}.sign"] << 31 | fields[f"{name}.exponent"] << 23
    return (bits | fields[f"{name}.fraction"]).astype(np.uint32).view(np.float32)


def test_binary32_operands_follow_the_schedule(random_float):
    layer = random_float(0, hidden=8).lstm_layers[0]
    x = np.random.default_rng(4).normal(size=(4, 6, layer.features)).astype(np.float32)
    lanes = layer.features + layer.hidden
    fields = float_stimulus(layer, x, 64 * 4 * lanes, 4)
    a, b = (values(fields["float_mult"], n) for n in "ab")
    product, partial = (values(fields["float_add"], n) for n in "ab")
    assert (product == a * b).all()
    # The first block is the gates of cell 0, each beginning at its bias.
    assert partial[:4].tolist() == layer.b[:: layer.hidden].astype(np.float32).tolist()
    assert a[:4].tolist() == layer.wx[:: layer.hidden, 0].astype(np.float32).tolist()
    assert b[:8].tolist() == [*[x[0, -1, 0]] * 4, *[x[0, -1, 1]] * 4]
    assert (partial[4 : 4 * lanes] == (partial + product)[: 4 * lanes - 4]).all()


def test_the_way_of_least_energy_is_chosen():
    # Two ways to invert: by one inverter, and by a chain of five.
    one = module([], [], u=cell("INV_X1", A="i0", Y="y"))
    chain = {f"u{k}": cell("INV_X1", A=f"i{k}", Y=f"i{k + 1}") for k in range(4)}
    five = module([], [], **chain, v=cell("INV_X1", A="i4", Y="y"))
    for made in (one, five):
        made["ports"] = {
            "i__payload": {"direction": "input", "bits": ["i0"]},
            "o__payload": {"direction": "output", "bits": ["y"]},
        }
    bits = np.random.default_rng(0).integers(0, 2, (256, 1), np.uint8)
    meter = UnitMeter(CELLS)
    found = meter.choose({"five": five, "one": one}, bits, 3, ())
    assert (found.strategy, found.stages, found.uses, found.vectors) == ("one", 0, 3, 256)
    rates = activity(one, LIBRARY, {"i__payload": bits})
    assert found.energy == netlist_energy(one, CELLS, rates, 0.0)
    assert found.half_fj == pytest.approx(found.settled_fj, rel=0.2)
    piped = meter.choose({"five": five, "one": one}, bits, 3, (1, 2))
    assert (piped.strategy, piped.stages) == ("one", 1)
    assert piped.energy.clock > 0
