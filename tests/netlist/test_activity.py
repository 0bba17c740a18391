"""Activity of a netlist: against evaluation one vector at a time, glitches one tick at a time."""

from itertools import pairwise

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import builtin_library
from mubinn.synth.netlist.activity import Logic, before, changes, pack
from mubinn.synth.netlist.activity_timed import activity, timed_changes
from mubinn.synth.netlist.netlist import netlist_cell as cell
from mubinn.synth.netlist.netlist import netlist_module as module

LIBRARY = builtin_library()
VECTORS = 128
FUNCTIONS = {
    "FA_X1": {
        "S": lambda A, B, CI, **_: A ^ B ^ CI,
        "CO": lambda A, B, CI, **_: (A & B) | (A & CI) | (B & CI),
    },
}


def adder(width):
    """A ripple-carry adder of full-adder cells: a + b = s."""
    carry = ["0", *(f"c{k}" for k in range(width))]
    cells = {
        f"u{k}": cell("FA_X1", A=f"a{k}", B=f"b{k}", CI=carry[k], S=f"s{k}", CO=carry[k + 1])
        for k in range(width)
    }
    words = {n: [f"{n}{k}" for k in range(width)] for n in "abs"}
    ports = {n: {"direction": "input", "bits": words[n]} for n in "ab"}
    total = [*words["s"], carry[-1]]
    return {"ports": ports | {"s": {"direction": "output", "bits": total}}, "cells": cells}


@pytest.fixture
def operands():
    random = np.random.default_rng(3)
    return {name: random.integers(0, 2, (VECTORS, 4), np.uint8) for name in ("a", "b")}


def values(made, given):
    """Evaluate a netlist of `FUNCTIONS` at given inputs, by repetition until it rests."""
    nets = {"0": 0, "1": 1, **given}
    for _ in made["cells"]:
        for one in made["cells"].values():
            pins = {pin: bits[0] for pin, bits in one["connections"].items()}
            for pin, function in FUNCTIONS[one["type"]].items():
                nets[pins[pin]] = function(**{p: nets.get(n, 0) for p, n in pins.items()})
    return {net: nets[net] for net in sorted(nets)}


def each_vector(made, operands):
    """The values of all nets at each vector."""
    ports = [(name, p["bits"]) for name, p in made["ports"].items() if name in operands]
    return [
        values(
            made, {n: int(v) for name, bits in ports for n, v in zip(bits, row[name], strict=True)}
        )
        for row in ({k: v[t] for k, v in operands.items()} for t in range(VECTORS))
    ]


def test_packed_words_are_the_bits_over_time():
    bits = np.random.default_rng(0).integers(0, 2, (192, 5), np.uint8)
    words = pack(bits)
    assert words.shape == (5, 3)
    assert [int(words[3, t // 64]) >> t % 64 & 1 for t in range(192)] == bits[:, 3].tolist()
    late = before(words)
    assert [int(late[3, t // 64]) >> t % 64 & 1 for t in range(192)] == [
        bits[0, 3],
        *bits[:-1, 3].tolist(),
    ]
    assert changes(words).tolist() == (bits[1:] != bits[:-1]).sum(axis=0).tolist()
    with pytest.raises(ValueError, match="do not fill words"):
        pack(bits[:100])


def test_settled_changes_are_those_of_each_vector(operands):
    made = adder(4)
    found = activity(made, LIBRARY, operands, glitches=False)
    history = each_vector(made, operands)
    for net, rate in found.items():
        if net in history[0]:
            seen = [nets[net] for nets in history]
            assert rate * (VECTORS - 1) == pytest.approx(sum(map(int.__ne__, seen, seen[1:])))
    sums = [
        sum(nets[net] << k for k, net in enumerate(made["ports"]["s"]["bits"])) for nets in history
    ]
    weights = 1 << np.arange(4)
    assert sums == (operands["a"] @ weights + operands["b"] @ weights).tolist()


def one_tick_at_a_time(made, history, ticks):
    """Changes of every net; an output holds until its function did for its ticks."""
    counts = dict.fromkeys(history[0], 0)
    drivers = [
        (one["connections"][pin][0], function, one["connections"])
        for one in made["cells"].values()
        for pin, function in FUNCTIONS[one["type"]].items()
    ]
    outputs = {net for net, _, _ in drivers}
    for old, new in pairwise(history):
        now = {net: old[net] if net in outputs else new[net] for net in old}
        for net in now.keys() - outputs:
            counts[net] += old[net] != new[net]
        held = dict.fromkeys(outputs, 0)
        for _ in range(sum(ticks.values()) + 1):
            flips = []
            for net, function, pins in drivers:
                want = function(**{pin: now[bits[0]] for pin, bits in pins.items()})
                held[net] = held[net] + 1 if want != now[net] else 0
                if held[net] == ticks[net]:
                    flips.append(net)
            for net in flips:
                now[net] ^= 1
                held[net] = 0
                counts[net] += 1
        assert now == new
    return counts


def test_glitches_are_those_of_one_vector_at_a_time(operands):
    made = adder(4)
    logic = Logic(made, LIBRARY)
    history = each_vector(made, operands)
    outputs = [
        bits[0]
        for c in made["cells"].values()
        for pin, bits in c["connections"].items()
        if pin in FUNCTIONS[c["type"]]
    ]
    random = np.random.default_rng(5)
    ticks = {net: int(random.integers(1, 7)) for net in outputs}
    rows = np.zeros(len(logic.nets), np.int64)
    for net, count in ticks.items():
        rows[logic.nets[net]] = count
    got = timed_changes(logic, logic.settle(operands), rows)
    want = one_tick_at_a_time(made, history, ticks)
    assert {net: int(got[logic.nets[net]]) for net in want if net not in "01"} == {
        net: count for net, count in want.items() if net not in "01"
    }
    settled = changes(logic.settle(operands))
    assert got.sum() > 1.1 * settled.sum()


@pytest.mark.parametrize(("inverters", "pulses"), [(1, 0), (7, 2)])
def test_short_pulses_pass_unseen(inverters, pulses):
    chain = {
        f"i{k}": cell("INV_X1", A=f"n{k}" if k else "a", Y=f"n{k + 1}") for k in range(inverters)
    }
    made = module(["a"], ["y"], **chain, u=cell("AND2_X1", A="a", B=f"n{inverters}", Y="y"))
    rising = {"a": (np.arange(64) % 2)[:, None]}
    assert activity(made, LIBRARY, rising, glitches=False)["y"] == 0
    assert activity(made, LIBRARY, rising)["y"] * 63 == pulses * 32


def test_registers_follow_one_vector_later():
    made = module(
        ["clock", "a"],
        ["y"],
        f=cell("DFF_X1", CK="clock", D="a", Q="q"),
        u=cell("XOR2_X1", A="a", B="q", Y="y"),
    )
    bits = np.random.default_rng(1).integers(0, 2, (64, 1), np.uint8)
    logic = Logic(made, LIBRARY)
    settled = logic.settle({"a": bits})
    found = int(settled[logic.nets["y"], 0])
    assert [found >> t & 1 for t in range(64)] == [0, *(bits[1:, 0] ^ bits[:-1, 0]).tolist()]


def test_loops_and_foreign_cells_are_refused():
    with pytest.raises(MubinnError, match="has a loop"):
        Logic(module([], ["y"], u=cell("INV_X1", A="y", Y="y")), LIBRARY)
    with pytest.raises(MubinnError, match="no cell MAGIC"):
        Logic(module(["a"], ["y"], u=cell("MAGIC", A="a", Y="y")), LIBRARY)
