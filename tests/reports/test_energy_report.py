"""The benchmark of energy: its ratios, its table, its pictures, and where it writes them."""

import csv
import io

import pytest
from click.testing import CliRunner

from mubinn.cli.benchmarks import table as benchmarks
from mubinn.cli.benchmarks.energy import Energies, bench_energy
from mubinn.cli.main import mubinn
from mubinn.reports.energy import CAUSES, COLUMNS, energy_files, energy_rows
from mubinn.synth.energy.energy import Energy
from mubinn.synth.energy.energy_cell import CellOperation, UnitEnergy


def operation(fj, uses, cycles, memory):
    energy = Energy(switching=0.6 * fj, internal=0.4 * fj)
    unit = UnitEnergy(uses, "plain", 1, 500.0, energy, 0.5 * fj, 0.9 * fj, 128, 1000.0)
    idle = UnitEnergy(1, "plain", 0, 9000.0, Energy(inputs=8.0), 8.0, 8.0, 64, 0.0)
    memories = {"weights": memory, "state": 1.0}
    return CellOperation({"unit": unit, "beside": idle}, cycles, Energy(clock=2.0), memories)


FOUND = Energies(
    {(None, None): operation(1000.0, 500, 531, 3e6), (3, 3): operation(200.0, 4, 4, 1e4)},
    cells=100,
    steps=160,
    data="made up",
)


def test_a_cell_operation_adds_its_units():
    found = operation(200.0, 4, 10, 50.0)
    # Leakage: 1000 nW over ten clocks of 500 ps, the period of the unit that is pipelined.
    assert found.logic.parts == pytest.approx(
        {"switching": 480, "internal": 320, "inputs": 8, "clock": 2, "leakage": 5}
    )
    assert found.total_fj == pytest.approx(815 + 51)
    assert found.settled_fj == pytest.approx(815 - 400)
    assert found.half_fj == pytest.approx(815 - 80)


def test_ratios_with_and_without_memories():
    full, ours = FOUND.operations.values()
    values = {figure["name"]: figure["value"] for figure in FOUND.figures()}
    assert values == {
        "energy_fp_over_3_3": full.total_fj / ours.total_fj,
        "logic_energy_fp_over_3_3": full.logic.total / ours.logic.total,
    }
    assert {figure["name"]: figure["goal"] for figure in FOUND.figures()} == {
        "energy_fp_over_3_3": ">= 300",
        "logic_energy_fp_over_3_3": "",
    }


def test_the_table_is_of_an_inference():
    full, ours = FOUND.rows()
    assert (full.name, ours.name) == ("FP,FP", "3,3")
    total = FOUND.operations[3, 3].total_fj
    assert ours.total_uj == pytest.approx(total * 100 * 160 * 1e-9)
    assert ours.step_nj == pytest.approx(total * 100 * 1e-6)
    assert set(ours.parts_uj) == set(CAUSES)
    first, second = (dict(zip(COLUMNS, row, strict=True)) for row in energy_rows([full, ours]))
    assert (first["logic ratio"], first["total ratio"]) == ("1.0", "1.0")
    assert float(second["total ratio"]) == pytest.approx(full.total_uj / ours.total_uj, abs=0.05)
    shares = [float(second[f"{name} %"]) for name in CAUSES]
    assert sum(shares) == pytest.approx(100, abs=0.05)


def test_files_are_the_same_each_time():
    files = energy_files(FOUND.rows())
    assert sorted(files) == ["energy.csv", "energy.md", "energy.png", "energy.svg"]
    assert files == energy_files(FOUND.rows())
    rows = list(csv.reader(io.StringIO(files["energy.csv"].decode())))
    assert [row[0] for row in rows] == ["A,W", "FP,FP", "3,3"]
    assert files["energy.png"].startswith(b"\x89PNG")
    assert b"| FP,FP |" in files["energy.md"]


def run(*args):
    return CliRunner().invoke(mubinn, ["bench", *map(str, args)])


def test_the_command_prints_the_table_and_writes_the_files(tmp_path, monkeypatch):
    rows = FOUND.rows()
    made = {
        "figures": FOUND.figures(),
        "tables": {"energy of an inference": {"columns": COLUMNS, "rows": energy_rows(rows)}},
        "parameters": {},
        "versions": {},
        "files": {"energy.csv": b"A,W\n"},
    }
    monkeypatch.setitem(benchmarks.BENCHMARKS, "energy", lambda: dict(made))
    result = run("energy", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "energy of an inference" in result.output
    assert (tmp_path / "out" / "energy.csv").read_bytes() == b"A,W\n"
    assert '"files"' not in run("energy", "--json").output
    refused = run("popcount", "-o", tmp_path / "other")
    assert refused.exit_code == 2
    assert "makes no files" in refused.output
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    refused = run("energy", "-o", tmp_path / "mine")
    assert refused.exit_code == 2
    assert "notes" in refused.output


@pytest.mark.slow
def test_bench_energy_reaches_what_it_states():
    result = bench_energy(configs=((1, 1), (3, 3)))
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert values["logic_energy_fp_over_3_3"] > 250
    assert values["energy_fp_over_1_1"] > 100
    about = result["parameters"]
    for name in ("fp", "1_1", "3_3"):
        # Half of the windows tell nearly the same, and glitches are more than nothing.
        assert about[f"half_of_the_vectors_{name}"] == pytest.approx(1, abs=0.05)
        assert about[f"without_glitches_pj_per_cell_{name}"] < about[f"logic_pj_per_cell_{name}"]
