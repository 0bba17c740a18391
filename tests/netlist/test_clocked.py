"""Netlists with registers and memories, clock by clock: against a run one at a time, by hand."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import builtin_library
from mubinn.synth.netlist.activity import Logic
from mubinn.synth.netlist.clocked import ClockedNetlist, runs_of
from mubinn.synth.netlist.netlist import netlist_cell as cell
from mubinn.synth.netlist.netlist import netlist_module

LIBRARY = builtin_library()
CLOCKS = 40
WORDS, WIDTH = 3, 2


def memory(**parameters):
    """A memory of three words of two bits with a port to read and one to write."""
    numbers = {
        **{"ABITS": 2, "SIZE": WORDS, "WIDTH": WIDTH, "OFFSET": 0, "RD_PORTS": 1, "WR_PORTS": 1},
        **{"RD_CLK_ENABLE": 1, "WR_CLK_ENABLE": 1},
        **dict.fromkeys(("RD_TRANSPARENCY_MASK", "RD_WIDE_CONTINUATION"), 0),
        **parameters,
    }
    return {
        "type": "$mem_v2",
        "parameters": {name: f"{n:032b}" for name, n in numbers.items()} | {"INIT": "xx1001"},
        "connections": {
            "RD_CLK": ["clk"],
            "RD_ADDR": ["a0", "a1"],
            "RD_EN": ["en"],
            "RD_DATA": ["r0", "r1"],
            "WR_CLK": ["clk"],
            "WR_ADDR": ["w0", "w1"],
            "WR_DATA": ["q", "a0"],
            "WR_EN": ["we", "we"],
        },
    }


def design(**parameters):
    """A register that what is read turns over, and the memory that takes it."""
    inputs = {"clk": ["clk"], "a": ["a0", "a1"], "w": ["w0", "w1"], "we": ["we"], "en": ["en"]}
    ports = {name: {"direction": "input", "bits": bits} for name, bits in inputs.items()}
    ports["y"] = {"direction": "output", "bits": ["r0", "r1", "q"]}
    cells = {
        "u": cell("XNOR2_X1", A="q", B="r1", Y="d"),
        "f": cell("DFF_X1", CK="clk", D="d", Q="q"),
        "m": memory(**parameters),
    }
    return {"ports": ports, "cells": cells}


def alone(given):
    """What one run has at q, r0, r1 after each clock, and its accesses."""
    words, q, r, found = [[1, 0], [0, 1], [0, 0]], 0, [0, 0], []
    reads = writes = 0
    last = None
    for a, w, we, en in given:
        found.append([r[0], r[1], q])
        new = list(words[min(a, 2)]) if en else r
        if we:
            words[min(w, 2)] = [q, a & 1]
            writes += 1
        if en:
            reads += a != last
            last = a
        q, r = 1 - (q ^ r[1]), new
    return np.array(found), reads, writes


def test_runs_are_what_each_is_alone():
    rng = np.random.default_rng(0)
    a, w = rng.integers(0, WORDS, (2, CLOCKS, 64))
    we, en = rng.integers(0, 2, (2, CLOCKS, 64))
    # In half of the clocks all runs agree, as those of a layer do.
    for values in (a, w, we, en):
        values[::2] = values[::2, :1]
    netlist = ClockedNetlist(design(), LIBRARY)
    got = []
    for k in range(CLOCKS):
        for port, values in (("a", a), ("w", w)):
            bits = np.stack([values[k] & 1, values[k] >> 1], 1).astype(np.uint8)
            netlist.values[netlist.pins(port)] = runs_of(bits)
        for port, values in (("we", we), ("en", en)):
            netlist.values[netlist.pins(port)] = runs_of(values[k][:, None].astype(np.uint8))
        netlist.settle()
        got.append(netlist.values[netlist.pins("y")])
        netlist.clock()
    bits = np.array(got)[:, None] >> np.arange(64, dtype=np.uint64)[:, None] & np.uint64(1)
    wants = [alone(zip(a[:, k], w[:, k], we[:, k], en[:, k], strict=True)) for k in range(64)]
    for run, (want, _, _) in enumerate(wants):
        assert bits[:, run].tolist() == want.tolist()
    rows = netlist.pins("y")
    turned = sum(np.abs(np.diff(want, axis=0)).sum(0) for want, _, _ in wants)
    assert netlist.changes[rows].tolist() == turned.tolist()
    assert netlist.memories["m"].read == sum(reads for _, reads, _ in wants) / 64
    assert netlist.memories["m"].written == sum(writes for _, _, writes in wants) / 64
    assert netlist.memories["m"].bits == WORDS * WIDTH


@pytest.mark.parametrize(
    ("parameter", "words"),
    [("RD_CLK_ENABLE", "without a clock"), ("RD_TRANSPARENCY_MASK", "being written")],
)
def test_other_memories_are_refused(parameter, words):
    value = int(parameter == "RD_TRANSPARENCY_MASK")
    with pytest.raises(MubinnError, match=words):
        ClockedNetlist(design(**{parameter: value}), LIBRARY)


def test_a_register_behind_a_clock_gate_holds_its_value():
    """It takes d over where the enable is 1; one before another gate is not known to work."""
    library = builtin_library(clock_gates=True)
    pins = {"CK": "clock", "EN": "en", "GCK": "gated"}
    made = netlist_module(
        ["clock", "en", "d"],
        ["q"],
        g=cell("ICG_X1", **pins),
        f=cell("DFF_X1", CK="gated", D="d", Q="q"),
    )
    netlist = ClockedNetlist(made, library)
    random = np.random.default_rng(3)
    held, ones = np.uint64(0), 0
    netlist.begin()
    for enable, given in random.integers(0, 1 << 64, (20, 2), np.uint64):
        netlist.values[[*netlist.pins("en"), *netlist.pins("d")]] = enable, given
        netlist.settle()
        assert netlist.values[netlist.pins("q")[0]] == held
        netlist.clock()
        held, ones = (given & enable) | (held & ~enable), ones + int(enable).bit_count()
    assert netlist.passed == {"gated": ones / (64 * 20)}
    more = cell("ICG_X1", CK="gated", EN="d", GCK="again")
    with pytest.raises(MubinnError, match="behind another one"):
        ClockedNetlist({**made, "cells": {**made["cells"], "h": more}}, library)
    with pytest.raises(MubinnError, match="has clock gates"):
        Logic(made, library)
