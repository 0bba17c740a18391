"""Pipelining a netlist: the same function some clocks later, at the period that timing tells."""

import re

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.xnor_multiplier import XnorMultiplier
from mubinn.synth.flow.flow import SynthJob, map_netlists
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.gate_timing import LibraryTiming
from mubinn.synth.liberty.library import builtin_library, parse_library
from mubinn.synth.netlist.deferral import defer_cells
from mubinn.synth.netlist.pipeline import (
    Pipelined,
    _best_cuts,
    _Netlist,
    pipelines,
    smallest_register,
)
from mubinn.synth.netlist.sta import analyse
from mubinn.synth.netlist.stages import Staging, fill_stages
from mubinn.synth.table1.equal_area import best_datapath

LIBRARY = builtin_library()
LANES = 20


@pytest.fixture(scope="module")
def netlist(tmp_path_factory):
    unit = XnorMultiplier(XnorMultiplierParams(LANES))
    job = SynthJob(verilog_text(unit, "top"), "top")
    folder = tmp_path_factory.mktemp("cache")
    return map_netlists(job, LIBRARY, small=True, cache_path=folder)["adders"]


def simulate(module, inputs):
    """Clock a netlist over `inputs`, bits by port; return the outputs before each edge."""
    functions = {
        (cell.name, pin.arguments[0]): (pin.get("function"), truth_table(pin.get("function"), 4))
        for cell in LIBRARY.gates
        if not cell.has_state
        for pin in cell.group.of("pin")
        if pin.get("function") not in ("", "0", "1")
    }
    registers = {n: 0 for n, c in module["cells"].items() if c["type"].startswith("DFF")}
    outputs = []
    for given in inputs:
        nets = {"0": 0, "1": 1, "x": 0}
        for name, bits in given.items():
            nets |= dict(zip(module["ports"][name]["bits"], bits, strict=True))
        nets |= {module["cells"][n]["connections"]["Q"][0]: v for n, v in registers.items()}

        drivers = {
            bits[0]: (c["type"], pin, c["connections"])
            for c in module["cells"].values()
            for pin, bits in c["connections"].items()
            if (c["type"], pin) in functions
        }

        def value(net, nets=nets, drivers=drivers):
            if net not in nets:
                kind, output, ports = drivers[net]
                text, (_, table) = functions[kind, output]
                pins = sorted(set(re.findall(r"[A-Z]\w*", text)))
                row = sum(value(ports[pin][0]) << k for k, pin in enumerate(pins))
                nets[net] = table >> row & 1
            return nets[net]

        outputs.append([value(bit) for bit in module["ports"]["o__payload"]["bits"]])
        registers = {n: value(module["cells"][n]["connections"]["D"][0]) for n in registers}
    return outputs


def placed(timed, how, wanted):
    budget = timed.delay / wanted * 1.05
    times = [timed.delay * k / 40 for k in range(1, 41)]
    cuts = _best_cuts(times, timed.alive(times), budget) if wanted > 1 else []
    filled = timed.fill(budget)
    ways = {"cut": timed.cut(cuts), "fill": filled, "defer": timed.defer(filled, budget)}
    return ways[how]


@pytest.mark.parametrize("how", ["cut", "fill", "defer"])
@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_stages_delay_the_same_function(netlist, wanted, how):
    timed = _Netlist(netlist, LIBRARY, LibraryTiming(LIBRARY))
    places = placed(timed, how, wanted)
    staged, count = timed.staged(places, smallest_register(LIBRARY, LibraryTiming(LIBRARY)))
    kinds = [cell["type"] for cell in staged["cells"].values()]
    assert kinds.count("DFF_X1") == count > 0
    random = np.random.default_rng(0)
    words = random.integers(0, 2, (30, 2 * LANES)).tolist()
    given = [{"i__payload": w, "i__valid": [1], "o__ready": [1], "clock": [0]} for w in words]
    got = simulate(staged, given)
    want = simulate(netlist, [{k: v for k, v in g.items() if k != "clock"} for g in given])
    late = places.stages
    assert got[late:] == want[:-late]
    assert wanted <= late <= (wanted if how == "cut" else 2 * wanted - 1)


def rising(paths):
    """Delays by edge: of a rising edge that nothing turns; what falls is there at once."""
    return {
        name: {((i, 0), (o, 0)): d for (i, o), d in several.items()}
        | {((i, 1), (o, 1)): 0.0 for i, o in several}
        for name, several in paths.items()
    }


def test_stages_are_filled_one_after_the_other():
    delays = rising(
        {
            "u": {("a", "p"): 3.0},
            "v": {("p", "q"): 2.0, ("a", "q"): 4.0},
            "w": {("q", "r"): 9.0, ("b", "r"): 1.0},
            "x": {("q", "s"): 1.0, ("p", "s"): 4.0},
        }
    )
    placed = fill_stages(delays, delays, ["a", "b"], 5.0)
    # u and v fill stage 0 to the brim; w has none that holds it; x starts anew behind registers.
    assert placed.cells == {"u": 0, "v": 0, "w": 1, "x": 1}
    assert placed.nets == {"a": 0, "b": 0, "p": 0, "q": 0, "r": 1, "s": 1}
    assert placed.stages == 2
    assert fill_stages(delays, delays, ["a", "b"], 6.0).cells["x"] == 1
    assert fill_stages(delays, delays, ["a", "b"], 7.0).cells["x"] == 0


# a and b are held for z, in stage 2; d and e are made of them at once, and used there too.
DECODED = {
    "d": {("a", "p"): 1.0, ("b", "p"): 1.0},
    "e": {("p", "q"): 2.0},
    "x": {("c", "r"): 4.0},
    "y": {("r", "s"): 4.0},
    "z": {("s", "t"): 1.0, ("q", "t"): 1.0, ("a", "t"): 1.0, ("b", "t"): 1.0},
}
USERS = {"a": "dz", "b": "dz", "c": "x", "p": "e", "q": "z", "r": "y", "s": "z"}


@pytest.mark.parametrize(
    ("budget", "d", "e"),
    [(4.0, 2, 2), (3.9, 1, 2), (2.9, 0, 1)],  # d, e and z fit into one stage; two of them; one
)
def test_cells_wait_where_that_takes_fewer_registers(budget, d, e):
    delays = rising(DECODED)
    start = Staging(
        {"a": 0, "b": 0, "c": 0, "p": 0, "q": 0, "r": 0, "s": 1, "t": 2},
        {"d": 0, "e": 0, "x": 0, "y": 1, "z": 2},
        3,
    )
    assert fill_stages(delays, delays, "abc", 4.0).cells == start.cells
    found = defer_cells(start, delays, USERS, {"t"}, budget)
    assert (found.cells["d"], found.cells["e"]) == (d, e)
    assert (found.nets["p"], found.nets["q"]) == (d, e)
    # Full adders take registers where they wait: they stay.
    assert (found.cells["x"], found.cells["y"], found.cells["z"]) == (0, 1, 2)


def test_deferral_never_takes_more_registers(netlist):
    timed = _Netlist(netlist, LIBRARY, LibraryTiming(LIBRARY))
    register = smallest_register(LIBRARY, LibraryTiming(LIBRARY))
    counts = [timed.staged(placed(timed, how, 4), register)[1] for how in ("fill", "defer")]
    assert counts[1] <= counts[0]


def test_period_and_area_are_those_of_the_staged_netlist(netlist):
    one, four = pipelines(netlist, LIBRARY, (1, 4))
    alone = analyse(netlist, LIBRARY).delay_ps
    register = next(c.area_um2 for c in LIBRARY.gates if c.name == "DFF_X1")
    assert one.stages == 1
    assert one.period_ps > alone
    assert four.stages >= 4
    assert four.period_ps < 0.6 * one.period_ps
    assert four.registers > one.registers
    grown = four.area_um2 - one.area_um2
    assert grown == pytest.approx(register * (four.registers - one.registers))


def test_cuts_stand_where_registers_are_fewest():
    times, counts = [1.0, 2.0, 3.0, 4.0], [9, 2, 5, 1]
    assert _best_cuts(times, counts, 2.0) == [2.0]
    assert _best_cuts(times, counts, 3.0) == [2.0]
    assert _best_cuts(times, counts, 1.0) == [1.0, 2.0, 3.0]


def test_registers_with_a_clear_have_it_tied_off():
    text = LIBRARY.texts[0]
    plain = re.compile(r"  cell \(DFF_X\d\) \{.*?\n  \}\n", re.DOTALL)
    library = parse_library([plain.sub("", text)], "without plain flip-flops")
    register = smallest_register(library, LibraryTiming(library))
    assert (register.cell, register.tied) == ("DFFR_X1", (("RN", "1"),))
    assert smallest_register(LIBRARY, LibraryTiming(LIBRARY)).tied == ()


def test_registered_netlists_are_refused():
    pins = {"CK": [2], "D": [3], "Q": [4]}
    module = {
        "ports": {"d": {"direction": "input", "bits": [3]}},
        "cells": {"f": {"type": "DFF_X1", "connections": pins}},
    }
    with pytest.raises(MubinnError, match="has registers already"):
        pipelines(module, LIBRARY, (2,))


def test_the_best_datapath_weighs_area_against_time():
    ways = {
        "a": [Pipelined(1, 0, 100.0, 10.0), Pipelined(2, 5, 60.0, 14.0)],
        "b": [Pipelined(1, 0, 60.0, 4.0), Pipelined(2, 9, 40.0, 40.0)],
    }
    best = best_datapath(ways, 4, beside_um2=2.0)
    assert (best.period_ps, best.area_um2, best.stages) == (60.0, 20.0, {"a": 2, "b": 1})
    assert best.cost == 60 * 20 * 4
    # Where something else needs 100 ps, the short form of a is wasted.
    slow = best_datapath(ways, 4, beside_um2=2.0, least_period_ps=100.0)
    assert (slow.period_ps, slow.area_um2) == (100.0, 16.0)
