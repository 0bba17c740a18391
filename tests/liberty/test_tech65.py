"""The built-in library: FO4 as asked, cells as stated, times that scale and nothing else."""

import re
import subprocess
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth import builtin_library, load_library, tech65_liberty
from mubinn.synth.liberty import tech65_gates
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.library import parse_library
from mubinn.synth.liberty.nldm import read_table


def numbers(text, key):
    return [float(v) for v in re.findall(rf"(?<!\w){key} : ([\d.]+)", text)]


def cell_text(text, name):
    return text[text.index(f"cell ({name})") :].split("\n  }\n")[0]


def rise(text, name):
    """The first table of a cell's rising delay, in the library's units."""
    pins = parse_library([text], "t").gate(name).group.of("pin")
    arcs = (arc for pin in pins for arc in pin.of("timing"))
    return read_table(next(table for arc in arcs for table in arc.of("cell_rise")))


@pytest.mark.parametrize("fo4", [18.0, 25.0, 45.0])
def test_fo4_from_the_tables(fo4):
    assert builtin_library(fo4).fo4_ps == pytest.approx(fo4, rel=1e-4)


def chain_blif(stages):
    """A chain of INV_X1, each stage loaded by four in all, as mapped BLIF."""
    names = [f"n{k}" for k in range(stages + 1)]
    lines = [
        f".model chain\n.inputs n0\n.outputs n{stages} "
        + " ".join(f"d{k}_{j}" for k in range(stages) for j in range(3))
    ]
    for k in range(stages):
        lines.append(f".gate INV_X1 A={names[k]} Y={names[k + 1]}")
        lines += [f".gate INV_X1 A={names[k]} Y=d{k}_{j}" for j in range(3)]
    return "\n".join([*lines, ".end\n"])


@pytest.mark.parametrize("fo4", [25.0, 40.0])
def test_fo4_by_abc(fo4, tmp_path):
    library = tmp_path / "t.lib"
    library.write_text(tech65_liberty(fo4))
    delays = {}
    for stages in (20, 40):
        (tmp_path / "c.blif").write_text(chain_blif(stages))
        run = subprocess.run(
            [
                str(Path(find_spec("pyosys").origin).parent / "yosys-abc"),
                "-c",
                f"read_lib {library}; read_blif -n {tmp_path / 'c.blif'}; topo; stime -p",
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        delays[stages] = float(re.search(r"Delay =\s*([\d.]+) ps", run.stdout).group(1))
    # The ends cancel: only stages in the steady state are left.
    assert (delays[40] - delays[20]) / 20 == pytest.approx(fo4, rel=0.01)


def test_areas_are_those_of_the_nine_track_table():
    area = {c.name: c.area_um2 for c in builtin_library().gates}
    stated = {
        "INV_X1": 1.08, "INV_X2": 1.44, "INV_X4": 2.52, "INV_X8": 4.68, "BUF_X1": 1.44,
        "NAND2_X1": 1.44, "NOR2_X1": 1.44, "NAND3_X1": 1.80, "NOR3_X1": 1.80, "NAND4_X1": 2.52,
        "AOI21_X1": 1.80, "OAI21_X1": 1.80, "AOI22_X1": 2.52, "OAI22_X1": 2.52, "AND2_X1": 2.16,
        "OR2_X1": 2.16, "XOR2_X1": 3.60, "XNOR2_X1": 3.60, "MUX2_X1": 3.60, "HA_X1": 7.20,
        "FA_X1": 8.64, "DFF_X1": 7.92, "DFFR_X1": 10.08,
    }  # fmt: skip
    assert {name: area[name] for name in stated} == pytest.approx(stated)


def test_functions():
    cells = {c.name: c for c in builtin_library().gates}
    assert truth_table(cells["NAND2_X1"].functions[0]) == (2, 0b0111)
    assert truth_table(cells["OR2_X4"].functions[0]) == (2, 0b1110)
    assert truth_table(cells["AOI21_X1"].functions[0], 3) == (3, 0b00000111)
    assert truth_table(cells["OAI21_X1"].functions[0], 3) == (3, 0b00011111)
    total, carry = cells["FA_X1"].functions
    for row, (c, b, a) in enumerate(product((0, 1), repeat=3)):
        assert truth_table(total, 3)[1] >> row & 1 == (a + b + c) % 2
        assert truth_table(carry, 3)[1] >> row & 1 == (a + b + c) // 2
    assert truth_table(cells["MUX2_X1"].functions[0], 3) == (3, 0b11001010)


def test_deterministic_and_scales_times_alone():
    slow, fast = tech65_liberty(50.0), tech65_liberty(25.0)
    assert fast == tech65_liberty(25.0) == tech65_liberty()
    for key in ("area", "capacitance", "cell_leakage_power", "max_capacitance"):
        assert numbers(slow, key) == numbers(fast, key)
    tables = [rise(t, "XOR2_X2") for t in (slow, fast)]
    assert tables[0].loads == tables[1].loads
    for u, v in zip(tables[0].values, tables[1].values, strict=True):
        assert u == pytest.approx([2 * x for x in v], rel=1e-5)
    energy = r"rise_power \(scalar\) \{ values \(\"([\d.]+)\"\)"
    assert re.findall(energy, slow) == re.findall(energy, fast)


def test_internal_energy_is_that_of_the_public_libraries():
    text = tech65_liberty()
    cv2 = tech65_gates.CIN_FF * 1.2**2
    # In C V^2 of the inverter, as SkyWater's and IHP's 130 nm libraries have it.
    for cell, low, high in (("INV_X1", 0.34, 0.41), ("INV_X2", 0.68, 0.82), ("DFF_X1", 2.6, 2.7)):
        found = re.search(r"rise_power \(scalar\) \{ values \(\"([\d.]+)", cell_text(text, cell))
        assert low < float(found.group(1)) / cv2 < high
    # The mean over an XOR's inputs.
    edges = re.findall(r"rise_power \(scalar\) \{ values \(\"([\d.]+)", cell_text(text, "XOR2_X1"))
    assert 1.05 < sum(map(float, edges)) / len(edges) / cv2 < 1.57


def test_larger_drives_are_faster_and_larger():
    text = tech65_liberty()
    for name in ("INV", "NAND2", "AOI22", "XOR2", "MUX2"):
        one, two = (cell_text(text, f"{name}_X{d}") for d in (1, 2))
        delays = [rise(text, f"{name}_X{drive}").at(30.0, 10.0) for drive in (1, 2)]
        assert delays[1] < delays[0]
        assert numbers(two, "area")[0] > numbers(one, "area")[0]
        assert numbers(two, "capacitance")[0] > numbers(one, "capacitance")[0]


@pytest.mark.parametrize("fo4", [0.0, -1.0, float("nan"), 1e9])
def test_impossible_fo4(fo4):
    with pytest.raises(MubinnError, match="out of range"):
        tech65_liberty(fo4)


def test_loads_from_a_file_too(tmp_path):
    path = tmp_path / "own.lib"
    path.write_text(tech65_liberty(30.0))
    library = load_library(path)
    assert library.name == "own"
    assert library.fo4_ps == pytest.approx(30.0, rel=1e-4)
