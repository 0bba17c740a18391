"""Variants of Table I: their cells, their delay models, and the entries that are made of them."""

import json

import pytest

from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.quantize import quantize
from mubinn.synth import builtin_library
from mubinn.synth.flow.result import UNITS, Metric, SynthResult
from mubinn.synth.table1 import table1, variants
from mubinn.synth.table1.cell_units import first_layer
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.table import Table1, assemble

LOAD = Workload(5, 4, 10)


def measured(number):
    """A made-up result of one unit, different for each number."""
    values = {"delay_ps": 100.5 + number, "delay_fo4": 4.0, "area_um2": 2.5 * number}
    values |= {"depth": 3, "gates": 10}
    metrics = {name: Metric(value, UNITS[name]) for name, value in values.items()}
    return SynthResult("unit", metrics, {}, {}, "lib", "00", "11", "22", {"yosys": "0"})


@pytest.fixture(scope="module")
def start(random_float):
    return calibrated(random_float(), steps=32)


@pytest.fixture(scope="module")
def cells(start):
    return variants.variant_cells(start)


@pytest.fixture(scope="module")
def numbers(cells):
    """A number for every unit, in the order of first use."""
    every = (
        u.key for several in cells.values() for own, _ in several.values() for u in own.values()
    )
    return {key: number for number, key in enumerate(dict.fromkeys(every))}


@pytest.fixture
def table(start, cells, numbers, monkeypatch):
    """Table I with variants, of made-up figures."""
    forms = table1.all_forms(start)
    results = {key: measured(n) for n, key in enumerate(table1.distinct_units(forms))}
    made = assemble(forms, results, LOAD, builtin_library())
    monkeypatch.setattr(variants, "variant_cells", lambda *_: cells)
    monkeypatch.setattr(variants, "elaborate", lambda units, *_: dict.fromkeys(units))

    def synthesize_many(jobs, *, generic, **_):
        assert not generic
        assert list(jobs) == list(numbers)
        return {key: measured(numbers[key]) for key in jobs}

    monkeypatch.setattr(variants, "synthesize_many", synthesize_many)
    return variants.with_variants(made, builtin_library(), start)


def test_all_binarized_entries_are_there(table):
    assert [variant.name for variant in table.variants] == ["thresholds", "merged"]
    for variant in table.variants:
        names = [(e.x_levels, e.w_levels) for e in variant.entries]
        assert names == [(str(a), str(w)) for a in range(1, 6) for w in range(1, 6)]


def test_merged_sums_may_be_left_out(start, cells):
    some = variants.variant_cells(start, merged=variants.DIAGONAL)
    assert tuple(some["merged"]) == ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5))
    assert some["merged"][2, 2] == cells["merged"][2, 2]
    assert some["thresholds"].keys() == cells["thresholds"].keys()


@pytest.mark.parametrize("name", ["thresholds", "merged"])
def test_an_entry_is_its_delay_model(table, cells, numbers, name):
    (variant,) = (v for v in table.variants if v.name == name)
    entry, (units, _) = variant.entry("3", "2"), cells[name][3, 2]
    t = {role: 100.5 + numbers[unit.key] for role, unit in units.items()}
    assert entry.delays_ps == t
    cell = 4 * t["search_gate"] + max(t["fc"], t["ig"]) + t["sum_c"] + t["search_c"] + t["table_h"]
    if name == "merged":
        cell += 4 * t["merged"]
    else:
        xnor, mult = (max(t[f"{kind}_x"], t[f"{kind}_h"]) for kind in ("xnor", "mult"))
        cell += 4 * 3 * 2 * (xnor + mult + t["add"])
    assert entry.cell_ns == pytest.approx(cell / 1000)
    assert entry.delay_s == pytest.approx(cell * LOAD.cells * 1e-12)
    assert entry.ratio == pytest.approx(table.entry("FP", "FP").delay_s / entry.delay_s)
    assert entry.over_figure3 == pytest.approx(table.entry("3", "2").delay_s / entry.delay_s)
    assert entry.area_um2 == pytest.approx(sum(2.5 * numbers[u.key] for u in units.values()))


def test_thresholds_follow_the_sums_of_figure_3(start, cells):
    layer = first_layer(start, 2, 3)
    own = cells["thresholds"][2, 3][0]
    figure3 = table1.cell_units((2, 3), layer)
    sums = ("xnor_x", "xnor_h", "mult_x", "mult_h", "add")
    assert {role: own[role] for role in sums} == {role: figure3[role] for role in sums}
    assert not {"sigmoid", "mac", "encode_gate", "pointwise"} & set(own)
    # z is never rounded: the search takes it as wide as it is.
    assert dict(own["search_gate"].parameters)["width"] <= layer.z_width
    assert "4 search_gate" in cells["thresholds"][2, 3][1].terms()


def test_own_offsets_of_h_are_refused(start):
    made = quantize(start.model, Levels.of(2, 2), start.windows, h_offset=[0.1, 0.2, 0.3, 0.4])
    with pytest.raises(MubinnError, match="share the offset of h"):
        variants.threshold_cell(made.lstm_layers[0])


def test_variants_survive_json(table):
    assert Table1.from_json(json.loads(json.dumps(table.to_json()))) == table
