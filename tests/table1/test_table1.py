import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.binarize.levels import level_name
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.cells import gate_sums, operations
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.synth import builtin_library
from mubinn.synth.flow.result import UNITS, Metric, SynthResult
from mubinn.synth.flow.source import source_hash
from mubinn.synth.table1 import elaborate, table1
from mubinn.synth.table1 import table as entry
from mubinn.synth.table1.cell_units import cell_units, first_layer
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.paper import CONFIGS, DELAY_S, law_error, law_s
from mubinn.synth.table1.table import Table1, assemble


def measured(number):
    """A made-up result of one unit, different for each number."""
    values = {"depth": 3 + number, "gates": 10 * number, "delay_ps": 100.5 + number}
    values |= {"delay_fo4": 4 + number / 25, "area_um2": 2.5 * number, "flipflops": 0}
    metrics = {name: Metric(value, UNITS[name]) for name, value in values.items()}
    return SynthResult("unit", metrics, {}, {}, "lib", "00", "11", "22", {"yosys": "0"})


@pytest.fixture(scope="module")
def forms(random_float):
    return table1.all_forms(calibrated(random_float()))


@pytest.fixture(scope="module")
def results(forms):
    return {key: measured(number) for number, key in enumerate(table1.distinct_units(forms))}


@pytest.fixture(scope="module")
def table(forms, results):
    return assemble(forms, results, Workload(5, 4, 10), builtin_library())


def test_law_meets_all_values_of_the_paper():
    assert len(DELAY_S) == len(CONFIGS) == 36
    assert 0.003 < law_error() <= 0.0033 + 5e-5
    assert law_s((1, 1)) == pytest.approx(0.000992 * 2 + 0.00303 * 2 + 0.0429 - 0.00896)
    assert law_s((None, 2)) == pytest.approx(0.000992 * 1026 + 0.00303 * 6 + 0.0429)
    assert DELAY_S[5, 1] == 0.075
    assert DELAY_S[1, 5] == 0.160


def test_entries_stand_in_the_order_of_the_paper(table):
    assert [(e.x_levels, e.w_levels) for e in table.entries[4:8]] == [
        ("1", "5"),
        ("1", "FP"),
        ("2", "1"),
        ("2", "2"),
    ]
    assert len(table.entries) == 36
    assert [e.paper_delay_s for e in table.entries] == list(DELAY_S.values())


def test_full_precision_entry_adds_up(table, forms, results):
    one = {role: results[unit.key] for role, unit in forms[None, None][0].units.items()}
    t = {role: r.delay_ps for role, r in one.items()}
    cell = 4 * 9 * (t["float_mult"] + t["float_add"]) + 4 * t["float_add"] + 3 * t["sigmoid"]
    cell += 2 * t["tanh"] + 3 * t["float_mult"] + t["float_add"]
    full = table.entry("FP", "FP")
    assert full.delay_s == pytest.approx(cell * 40 * 1e-12, rel=1e-12)
    assert full.area_um2 == sum(r.area_um2 for r in one.values())
    deep = max(one["sigmoid"].depth, one["tanh"].depth)
    assert full.depth == one["float_mult"].depth + one["float_add"].depth + deep
    assert full.ratio == 1


@pytest.mark.parametrize("config", [(3, None), (None, 2)])
def test_a_mixed_entry_has_the_faster_form(forms, results, config):
    load = Workload(5, 4, 10)
    both = forms[config]
    assert [form.decoded for form in both] == [False, True]
    assert ["decode" in form.units for form in both] == [False, True]
    for slow, fast in (both, both[::-1]):
        slowed = {unit.key for unit in slow.units.values()}
        slowed -= {unit.key for unit in fast.units.values()}
        metrics = {name: Metric(1e5, unit) for name, unit in UNITS.items()}
        late = SynthResult("unit", metrics, {}, {}, "lib", "00", "11", "22", {"yosys": "0"})
        made = assemble(forms, results | dict.fromkeys(slowed, late), load, builtin_library())
        names = [level_name(count) for count in config]
        assert set(made.entry(*names).units) == set(fast.units)


def test_ratios_compare_with_full_precision(table):
    full, ours = table.entry("FP", "FP"), table.entry("3", "3")
    assert table.fp_over_3_3 == ours.ratio == full.delay_s / ours.delay_s
    assert table.paper_fp_over_3_3 == ours.paper_ratio == 4.294 / 0.091


def test_a_unit_that_several_cells_have_is_one_row(table):
    assert len(table.units) == len({(unit.kind, unit.parameters) for unit in table.units})
    xnor = [unit for unit in table.units if unit.kind == "XnorMultiplier"]
    assert [unit.parameters for unit in xnor] == ["lanes 5", "lanes 4"]
    assert len(xnor[0].entries) == 25
    assert len(xnor[1].entries) == 30
    for e in table.entries:
        for role, row in e.units.items():
            assert role in table.units[row].roles
            assert f"{e.x_levels},{e.w_levels}" in table.units[row].entries


def test_table_survives_json(table):
    again = Table1.from_json(json.loads(json.dumps(table.to_json())))
    assert again == table
    assert asdict(again) == asdict(table)


def test_units_are_those_of_the_cell_in_hardware(random_float, monkeypatch):
    layer = first_layer(calibrated(random_float()), 2, 3)
    found = {}
    parts = (gate_sums, operations)

    def record(m, name, unit, **fields):
        found[name] = (type(unit).__name__, asdict(unit.params))
        return apply(m, name, unit, **fields)

    apply = gate_sums.apply
    for part in parts:
        monkeypatch.setattr(part, "apply", record)
    verilog_text(LstmCell(LayerPlan(layer, folded_bias=False)), "cell")
    units = cell_units((2, 3), layer)
    assert {role: (u.kind, dict(u.parameters)) for role, u in units.items()} == found


def test_full_precision_weights_need_no_quantized_cell():
    assert [u.kind for u in cell_units((None, None), None).values()][:2] == [
        "FloatMult",
        "FloatAdd",
    ]
    mixed = cell_units((3, None), None)
    assert mixed["float_add"].kind == "SignedFloatAdd"
    with pytest.raises(ValueError, match="needs the layer of a cell"):
        cell_units((3, 3), None)


def test_mixed_cell_takes_the_float_sum_in_the_format_of_z(random_float):
    layer = first_layer(calibrated(random_float()), 2, 2)
    units = cell_units((None, 2), layer)
    assert dict(units["to_fixed"].parameters) == {
        "width": layer.z_width,
        "fraction": layer.z_fraction,
    }
    assert dict(units["add"].parameters)["product_width"] >= layer.z_width
    assert "xnor_x" not in units


def test_real_units_are_measured_and_kept(random_float, monkeypatch, tmp_path):
    monkeypatch.setattr(table1, "CONFIGS", ((1, 1),))
    monkeypatch.setattr(entry, "FULL", (1, 1))
    monkeypatch.setattr(entry, "HEADLINE", (1, 1))
    start, library, seen = calibrated(random_float(features=3, hidden=2)), builtin_library(), []

    def measure():
        return table1.measure(
            library,
            start,
            steps=10,
            progress=lambda what, done, total: seen.append((what, done, total)),
            cache_path=tmp_path,
        )

    table = measure()
    (one,) = table.entries
    assert one.depth > 20
    assert one.area_um2 > 500
    slowest = max(unit.delay_ps for unit in table.units)
    assert 10 * 2 * slowest * 1e-12 < one.delay_s < 10 * 2 * slowest * 40e-12
    assert all(unit.delay_ps > 0 and unit.gates > 0 for unit in table.units)
    assert seen[0] == ("quantize", 1, 1)
    assert seen[-1] == ("synthesize", len(table.units), len(table.units))

    def forbidden(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr("mubinn.synth.flow.flow.run_worker", forbidden)
    monkeypatch.setattr(elaborate.ProcessPoolExecutor, "submit", forbidden)
    assert measure() == table


def test_fault_of_a_unit_is_told(random_float, monkeypatch, tmp_path):
    monkeypatch.setattr(table1, "CONFIGS", ((1, 1),))

    def broken(component, top):
        return verilog_text(component, top).replace("endmodule", "")

    monkeypatch.setattr(elaborate, "verilog_text", broken)
    monkeypatch.setattr(elaborate, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(2))
    with pytest.raises(MubinnError, match="could not synthesize"):
        table1.measure(builtin_library(), calibrated(random_float()), cache_path=tmp_path)


def test_source_hash_sees_every_file(monkeypatch, tmp_path):
    import mubinn.synth.flow.source as source

    (tmp_path / "hw").mkdir()
    unit = tmp_path / "hw" / "unit.py"
    unit.write_text("a = 1\n")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    hashes = []
    for text in ("a = 1\n", "a = 2\n"):
        unit.write_text(text)
        source_hash.cache_clear()
        hashes.append(source_hash("hw"))
    source_hash.cache_clear()
    assert len(set(hashes)) == 2
