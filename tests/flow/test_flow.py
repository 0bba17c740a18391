"""Synthesis end to end: known depths, areas and delays, memories, faults, caching, batches."""

import os
import re
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import Cancelled
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.synth import (
    SynthJob,
    SynthResult,
    builtin_library,
    load_library,
    synthesize,
    synthesize_many,
    tool_versions,
)
from mubinn.synth.flow import flow, strategies
from mubinn.synth.liberty.library import parse_library

SHARED = Path(os.environ.get("MUBINN_SHARED", Path(__file__).parents[3] / "shared"))
TECH65 = builtin_library()


@pytest.fixture(autouse=True, scope="module")
def cache_of_this_module(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUBINN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def design(body, top="top"):
    return SynthJob(f"module {top}({body} endmodule\n", top)


def reduce_of(op, n):
    return design(f"input [{n - 1}:0] a, output y); assign y = {op}a;")


ADDER = "input [{m}:0] a, b, output [{n}:0] y); assign y = a + b;"
MULTIPLIER = design(
    "input clk, input [7:0] a, b, output reg [15:0] y); reg [7:0] p, q;"
    "always @(posedge clk) begin p <= a; q <= b; y <= p * q; end"
)


def adder(n):
    return design(ADDER.format(m=n - 1, n=n))


@pytest.mark.parametrize("op", ["^", "&", "|"])
@pytest.mark.parametrize("n", [2, 8, 32])
def test_depth_of_a_balanced_tree(op, n):
    result = synthesize(reduce_of(op, n), library=None)
    assert (result.depth, result.gates) == (n.bit_length() - 1, n - 1)
    assert (result.flipflops, result.memory_bits) == (0, 0)


def test_inverters_count():
    result = synthesize(design("input a, output y); assign y = ~a;"), library=None)
    assert (result.depth, result.gates, dict(result.cells)) == (1, 1, {"$_NOT_": 1})


def test_full_adder_and_wires():
    total = "input a, b, c, output s, o); assign {o, s} = a + b + c;"
    result = synthesize(design(total), library=None)
    assert (result.depth, result.gates) == (3, 5)
    result = synthesize(design("input a, output y); assign y = a;"), library=TECH65)
    assert (result.depth, result.gates, result.delay_ps, result.area_um2) == (0, 0, 0, 0)


def test_registers_cut_paths():
    body = (
        "input clk, input [7:0] a, output reg y); reg [1:0] p;"
        "always @(posedge clk) begin p <= {^a[7:4], ^a[3:0]}; y <= ^p; end"
    )
    result = synthesize(design(body), library=TECH65)
    assert (result.depth, result.gates, result.flipflops) == (2, 7, 3)
    assert result.cells["DFF_X1"] == 3
    area = {c.name: c.area_um2 for c in TECH65.gates}
    assert result.area_um2 == pytest.approx(sum(n * area[c] for c, n in result.cells.items()))
    assert result.area_um2 > 3 * 7.92 + 7 * 3.6 - 1e-6


def test_area_and_delay_grow_with_width():
    results = [synthesize(adder(n), library=TECH65) for n in (4, 8, 16)]
    for narrow, wide in pairwise(results):
        assert narrow.area_um2 < wide.area_um2
        assert narrow.delay_ps < wide.delay_ps
        assert narrow.depth < wide.depth
        assert narrow.gates < wide.gates
    # A carry chain of 16 would have a depth of 33 and more.
    assert results[-1].depth <= 10
    assert results[-1].delay_fo4 < 12.5


def test_delay_scales_with_fo4():
    fast, slow = (synthesize(adder(8), library=builtin_library(f)) for f in (25.0, 50.0))
    assert slow.delay_ps == pytest.approx(2 * fast.delay_ps, rel=0.01)
    assert slow.delay_fo4 == pytest.approx(fast.delay_fo4, rel=0.01)
    assert slow.area_um2 == pytest.approx(fast.area_um2, rel=0.05)  # sizing has ties
    assert (slow.depth, slow.gates) == (fast.depth, fast.gates)


def test_one_inverter_between_driver_and_load_takes_below_two_fo4():
    result = synthesize(design("input a, output y); assign y = ~a;"), library=TECH65)
    assert 10.0 < result.delay_ps < 2 * TECH65.fo4_ps
    assert sum(result.cells.values()) == 1


def test_memories_are_reported_apart():
    body = (
        "input clk, we, input [5:0] a, input [7:0] d, output reg [7:0] q); reg [7:0] m[0:63];"
        "always @(posedge clk) begin if (we) m[a] <= d; q <= m[a]; end"
    )
    result = synthesize(design(body), library=TECH65)
    assert result.memory_bits == 512
    assert result.flipflops < 64
    assert result.area_um2 < 512 * 7.92 / 4


def test_a_switch_stays_logic():
    cases = " ".join(f"{k}: y = {k * 37 % 256};" for k in range(64))
    body = f"input [5:0] a, output reg [7:0] y); always @* case (a) {cases} endcase"
    result = synthesize(design(body), library=TECH65)
    assert result.memory_bits == 0
    assert result.gates > 20


def test_asynchronous_reset_and_falling_edge():
    body = (
        "input clk, r, d, output reg p, q);"
        "always @(posedge clk or posedge r) if (r) {p, q} <= 1; else {p, q} <= {d, ~d};"
    )
    result = synthesize(design(body), library=TECH65)
    assert result.cells["DFFR_X1"] == 2
    body = "input clk, d, output reg q); always @(negedge clk) q <= d;"
    assert synthesize(design(body), library=TECH65).flipflops == 1


def test_amaranth_component():
    class Square(wiring.Component):
        i: In(signed(4))
        o: Out(signed(8))

        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.o.eq(self.i * self.i)
            return m

    text = verilog_text(Square(), "square")
    assert text == verilog_text(Square(), "square")
    assert "module square" in text
    assert "src" not in text
    result = synthesize(SynthJob(text, "square"), library=TECH65)
    assert result.flipflops >= 6
    assert result.top == "square"


@pytest.mark.parametrize(
    ("name", "area", "delay"),
    [
        ("sky130hd_tt.lib.gz", 3406.0, 2144.0),
        ("sg13g2_stdcell_typ_1p20V_25C.lib", 5711.0, 1945.0),
    ],
)
def test_real_libraries_against_a_plain_flow(name, area, delay):
    """A registered 8 x 8 multiplier: faster than a plain flow, for at most a quarter more area."""
    path = SHARED / "data" / "liberty" / name
    if not path.exists():
        pytest.skip("the real libraries are not here")
    library = load_library(path)
    result = synthesize(MULTIPLIER, library=library)
    assert result.delay_ps < delay
    assert result.area_um2 < 1.25 * area
    own = synthesize(MULTIPLIER, library=TECH65)
    assert result.delay_fo4 == pytest.approx(own.delay_fo4, rel=0.25)


FAULTS = {
    "combinational loop": design("input a, output y); wire z = ~(y & a); assign y = ~(z & a);"),
    "syntax error": design("input a; output y);"),
    "not part of the design": design("input a, output y); other u(a, y);"),
    "Module `top' not found": replace(design("input a); ", "other"), top="top"),
    "flip-flop or latch": design("input e, d, output reg q); always @* if (e) q = d;"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_faulty_designs(what, capfd):
    with pytest.raises(MubinnError, match=what) as caught:
        synthesize(FAULTS[what], library=TECH65)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_library_without_flipflop():
    text = TECH65.texts[0]
    start, end = text.index("  cell (DFF_X1)"), text.index("  cell (TIEHI)")
    library = parse_library([text[:start] + text[end:]], "no flip-flop")
    body = "input clk, d, output reg q); always @(posedge clk) q <= d;"
    with pytest.raises(MubinnError, match="flip-flop or latch that the library lacks"):
        synthesize(design(body), library=library)
    assert synthesize(adder(4), library=library).area_um2 > 0


def test_library_without_an_area():
    text = re.sub(r"(?<!_)area : [\d.]+;", "", TECH65.texts[0])
    library = parse_library([text], "no area")
    with pytest.raises(MubinnError, match="no area for INV_X"):
        synthesize(design("input a, output y, z); assign y = ~a; assign z = y;"), library=library)


def test_dont_use_is_obeyed():
    used = synthesize(reduce_of("^", 16), library=TECH65).cells
    assert any(c.startswith(("XOR", "XNOR")) for c in used)
    library = parse_library([TECH65.texts[0]], "t", ["XOR2*", "XNOR2*"])
    without = synthesize(reduce_of("^", 16), library=library)
    assert not any(c.startswith(("XOR", "XNOR")) for c in without.cells)


def test_a_missing_metric_raises():
    result = synthesize(adder(4), library=None)
    for name in ("delay_ps", "delay_fo4", "area_um2"):
        with pytest.raises(MubinnError, match=f"no measured {name}"):
            getattr(result, name)
    mapped = synthesize(adder(4), library=TECH65, generic=False)
    assert mapped.delay_ps > 0
    with pytest.raises(MubinnError, match="no measured depth"):
        _ = mapped.depth


def test_result_carries_all_that_repeats_it():
    result = synthesize(adder(4), library=TECH65)
    assert result.metric("delay_ps").unit == "ps"
    assert result.metric("area_um2").unit == "um^2"
    assert result.metric("depth").unit == "gates"
    assert result.delay_fo4 == pytest.approx(result.delay_ps / TECH65.fo4_ps)
    assert set(result.tools) >= {"yosys", "pyosys", "amaranth"}
    assert result.library_hash == TECH65.sha256
    assert len(result.design_hash) == len(result.script_hash) == 64
    assert set(result.strategies) == {"generic", "mapped"}
    assert SynthResult.from_json(result.to_json()) == result


def forbid(patch):
    def never(*_):
        raise AssertionError("ran again")

    patch.setattr(flow, "run_worker", never)


def test_second_run_comes_from_the_cache(tmp_path, monkeypatch):
    first = synthesize(adder(6), library=TECH65, cache_path=tmp_path)
    forbid(monkeypatch)
    assert synthesize(adder(6), library=TECH65, cache_path=tmp_path) == first
    assert synthesize(adder(6), library=None, cache_path=tmp_path).depth == first.depth
    changed = [
        lambda: synthesize(adder(7), library=TECH65, cache_path=tmp_path),
        lambda: synthesize(adder(6), library=builtin_library(26.0), cache_path=tmp_path),
        lambda: synthesize(adder(6), library=TECH65, cache_path=tmp_path / "other"),
        lambda: synthesize(
            adder(6), library=parse_library(TECH65.texts, "t", ["INV_X8"]), cache_path=tmp_path
        ),
    ]
    for run in changed:
        with pytest.raises(AssertionError, match="ran again"):
            run()


def test_tools_and_scripts_are_in_the_key(tmp_path, monkeypatch):
    synthesize(adder(3), library=None, cache_path=tmp_path)
    forbid(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(flow, "tool_versions", lambda: {"yosys": "9.99"})
        with pytest.raises(AssertionError, match="ran again"):
            synthesize(adder(3), library=None, cache_path=tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(strategies.PREPARE, "plain", "strash; balance")
        with pytest.raises(AssertionError, match="ran again"):
            synthesize(adder(3), library=None, cache_path=tmp_path)
    synthesize(adder(3), library=None, cache_path=tmp_path)


def test_many(tmp_path, monkeypatch):
    jobs = {"a": adder(2), "b": adder(3), "again": adder(2)}
    seen = []
    results = synthesize_many(
        jobs, library=TECH65, cache_path=tmp_path, progress=lambda *step: seen.append(step)
    )
    assert list(results) == ["a", "b", "again"]
    assert results["a"] == results["again"]
    assert results["a"].area_um2 < results["b"].area_um2
    assert sorted(seen, key=lambda s: s[1])[-1][1:] == (2, 2)
    assert {name for name, _, _ in seen} == {"a", "b"}
    forbid(monkeypatch)
    assert synthesize_many(jobs, library=TECH65, cache_path=tmp_path) == results


def test_a_failure_names_the_design_and_the_rest_resumes(tmp_path, monkeypatch):
    jobs = {"good": adder(2), "bad": FAULTS["syntax error"], "late": adder(5)}
    with pytest.raises(MubinnError, match=r"^bad: .*syntax error"):
        synthesize_many(jobs, library=None, workers=1, cache_path=tmp_path)
    forbid(monkeypatch)
    assert synthesize(jobs["good"], library=None, cache_path=tmp_path).depth > 0


def test_cancelled_from_outside(tmp_path):
    stop = threading.Event()

    def after_first(name, done, total):
        stop.set()

    jobs = {f"a{n}": adder(n) for n in range(2, 6)}
    with pytest.raises(Cancelled):
        synthesize_many(
            jobs, library=None, workers=1, cache_path=tmp_path, cancel=stop, progress=after_first
        )


def test_interrupt_in_progress_ends_the_workers(tmp_path):
    def interrupt(name, done, total):
        raise KeyboardInterrupt

    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        synthesize_many(
            {"a": adder(2), "b": adder(64)},
            library=TECH65,
            cache_path=tmp_path,
            progress=interrupt,
            cancel=stop,
        )
    assert stop.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_without_pyosys(monkeypatch):
    tool_versions.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pyosys", None)
    with pytest.raises(MubinnError, match="pip install pyosys"):
        tool_versions()
    monkeypatch.undo()
    tool_versions.cache_clear()
    monkeypatch.setattr(
        flow, "version", lambda name: (_ for _ in ()).throw(flow.PackageNotFoundError)
    )
    assert set(tool_versions()) == {"yosys"}
    tool_versions.cache_clear()
