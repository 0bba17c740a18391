"""Libraries side by side: their cells, the option that names them, and the table of units."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from amaranth.hdl import Fragment
from click.testing import CliRunner

from mubinn.cli.benchmarks import libraries as bench
from mubinn.cli.benchmarks.table import BENCHMARKS, WITH_LIBRARIES, WITH_LIBRARY
from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.gate_timing import LibraryTiming
from mubinn.synth.liberty.library import builtin_library, load_library
from mubinn.synth.liberty.library_figures import gate_figures
from mubinn.synth.liberty.tech65 import tech65_liberty

LIBRARY = builtin_library()
SHARED = Path(os.environ.get("MUBINN_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture
def slow_file(tmp_path):
    """The built-in library at half its speed."""
    path = tmp_path / "slow.lib"
    path.write_text(tech65_liberty(50.0))
    return path


def test_cells_are_measured_in_fo4(slow_file):
    timing, load = LibraryTiming(LIBRARY), 4 * LIBRARY.inverters[0][1]
    slew = max(table.at(0, load) for table in timing.gate("INV_X1").arcs["Y"][0].slew)
    found = gate_figures(LIBRARY)
    arcs = timing.gate("NAND2_X1").arcs["Y"]
    assert found["nand2"] == max(t.at(slew, load) for a in arcs for t in a.delay) / LIBRARY.fo4_ps
    assert 1 < found["nand2"] < found["nor2"] < found["xor2"] < found["full_adder"]
    # Clock to Q at its own fan-out, and setup, as the library states them.
    assert found["flipflop"] == pytest.approx(3.8 + 1.5, rel=0.05)
    assert gate_figures(load_library(slow_file)) == pytest.approx(found, rel=1e-4)


def test_cells_that_are_missing_have_no_figure(tmp_path):
    path = tmp_path / "bare.lib"
    path.write_text(LIBRARY.texts[0].replace("A^B", "A&B"))
    found = gate_figures(load_library(path))
    assert (found["full_adder"], found["xor2"]) == (None, None)
    assert found["nand2"] == gate_figures(LIBRARY)["nand2"]


def test_the_option_reaches_the_benchmarks(monkeypatch, slow_file):
    made = {"figures": [], "versions": {}, "parameters": {}}
    seen = []

    def stand_in(**options):
        seen.append(options)
        return made

    for name in ("delay", "libraries", "simulate"):
        monkeypatch.setitem(BENCHMARKS, name, stand_in)
    for name in ("delay", "libraries", "simulate"):
        words = ["bench", name, "--json", "--liberty", str(slow_file)]
        result = CliRunner().invoke(mubinn, words)
        assert (result.exit_code == 0) == (name != "simulate")
    assert [list(options) for options in seen] == [["library"], ["libraries"]]
    assert seen[0]["library"].fo4_ps == pytest.approx(50)
    assert set(WITH_LIBRARY + WITH_LIBRARIES) <= set(BENCHMARKS)


def test_units_in_fo4_beside_each_other(monkeypatch, slow_file, random_float):
    fo4 = {LIBRARY.name: 10.0, "slow": 12.0}

    def measured(jobs, *, library, **_):
        return {name: SimpleNamespace(delay_fo4=fo4[library.name]) for name in jobs}

    monkeypatch.setattr(bench, "synthesize_many", measured)
    monkeypatch.setattr(bench, "to_verilog", lambda unit, top: Fragment.get(unit, None) and top)
    result = bench.bench_libraries([load_library(slow_file)], random_float(0, hidden=6))
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert {"float_mult_slow", "merged_slow", "popcount_slow", "serial_fp_slow"} <= set(values)
    ratio = values.pop("serial_fp_over_3_3_slow")
    assert ratio == pytest.approx(1)
    assert list(values.values()) == pytest.approx([1.2] * len(values))
    assert result["parameters"]["cell_xor2_fo4_slow"] == pytest.approx(
        gate_figures(LIBRARY)["xor2"], rel=1e-4
    )
    with pytest.raises(MubinnError, match="no library to compare"):
        bench.bench_libraries()


@pytest.mark.slow
def test_open_libraries_agree_within_a_quarter():
    paths = sorted((SHARED / "data" / "liberty").glob("*.lib*"))
    if not paths:
        pytest.skip("the open libraries are not here")
    figures = bench.bench_libraries([load_library(path) for path in paths])["figures"]
    assert {figure["name"]: figure["value"] for figure in figures} == {
        figure["name"]: pytest.approx(1, abs=0.25) for figure in figures
    }
