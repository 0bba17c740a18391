"""Power of a layer: forms of memories by hand, rows, and the table of a bench without synthesis."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from mubinn.cli.benchmarks import power
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.export.layer_folder import memories
from mubinn.reports.power import COLUMNS, power_files, power_texts
from mubinn.synth.energy.energy_memory import Memory, scale
from mubinn.synth.energy.energy_up5k import STATIC_UW, up5k_power
from mubinn.synth.energy.memory_forms import FORMS
from mubinn.synth.liberty.clock_gates import find_clock_gate
from mubinn.synth.liberty.library import builtin_library

LIBRARY = builtin_library()
WEIGHTS = Memory(52_800, 52_800)


def found(logic, clock, leakage_nw, area, **kept):
    parts = {"switching": logic, "internal": 0.0, "inputs": 0.0, "clock": clock, "leakage": 0.5}
    own = {name: {"bits": m.bits, "accessed": m.accessed} for name, m in kept.items()}
    return {
        **{"logic": parts, "memories": own, "leakage_nw": leakage_nw, "area_um2": area},
        **{"cycles": 403, "gates": 0},
    }


STORED = found(5e5, 1e6, 50.0, 4000.0, m_w=WEIGHTS, m_g=Memory(100, 200))
MADE = found(9e5, 1.1e6, 300.0, 21_000.0, m_g=Memory(100, 200))


def test_forms_by_hand():
    bit = 1000 * scale(LIBRARY) / 64
    per_bit = {name: form.energy_fj(WEIGHTS, LIBRARY) / 52_800 for name, form in FORMS.items()}
    # 10 pJ of 8 KB, and half of it of each quarter of the size.
    assert FORMS["one"].energy_fj(Memory(65_536, 64), LIBRARY) == pytest.approx(64 * bit * 10)
    assert per_bit["banks"] == pytest.approx(bit * 10 / 8**0.5)
    assert per_bit["latches"] == pytest.approx(14 * (1.2 / 0.5) ** 2)
    kept = FORMS["one"].at_rest(Memory(1 << 20, 0), LIBRARY)
    assert (kept.nw, kept.um2) == pytest.approx((6000, 0.667 * (1 << 20)))
    assert [name for name, form in FORMS.items() if not form.loadable] == ["logic"]


def test_a_process_of_which_nothing_is_published_is_refused():
    other = SimpleNamespace(name="sg13g2_stdcell")
    for form in FORMS.values():
        with pytest.raises(MubinnError, match="No published leakage of memories"):
            form.at_rest(WEIGHTS, other)


def row(form, made):
    return power.power_row(LIBRARY, FORMS[form], "1,1", 1, 160, STORED, made)


def test_rows_by_hand(monkeypatch):
    one, logic = row("one", STORED), row("logic", MADE)
    assert (one.logic_nj, one.clock_nj, one.logic_uw) == pytest.approx((0.5, 1.0, 0.05))
    energy = FORMS["one"].energy_fj
    assert one.memory_nj == pytest.approx(
        1e-6 * sum(energy(memory, LIBRARY) for memory in (WEIGHTS, Memory(100, 200)))
    )
    # What the layer takes more than one whose memories take nothing, and c.
    own = 1e-6 * energy(Memory(100, 200), LIBRARY)
    assert logic.memory_nj == pytest.approx(0.5 + own)
    assert logic.step_nj == pytest.approx(2.0 + own + 5e-7)
    assert logic.window_uj == pytest.approx(0.16 * logic.step_nj)
    assert logic.memory_uw == pytest.approx(0.25 + 1e-3 * 100 * 6000 / (1 << 20))
    assert logic.average_uw == pytest.approx(
        0.04 * logic.dynamic_nj + logic.logic_uw + logic.memory_uw
    )
    assert logic.memory_um2 == pytest.approx(17_000 + 66.7)
    nothing = FORMS["one"].__class__("one", "", FORMS["one"].bit_fj, ())
    unknown = power.power_row(LIBRARY, nothing, "1,1", 1, 160, STORED, STORED)
    assert unknown.memory_uw is unknown.average_uw is None
    text = dict(zip(COLUMNS, power_texts([unknown])[0], strict=True))
    assert text["memory leaks uW"] == text["average uW"] == "-"
    files = power_files([one, logic, unknown], {"versions": {}})
    assert set(files) == {f"power.{kind}" for kind in ("md", "csv", "json", "png", "svg")}
    rows = json.loads(files["power.json"])["rows"]
    assert [own["average_uw"] for own in rows] == [one.average_uw, logic.average_uw, None]


def test_the_bench_takes_the_least_of_all(monkeypatch, random_float):
    asked = []

    def energy(self, cells, design, codes, say, *, gated):
        names = [memory["name"] for memory in memories(design.layer)]
        asked.append((design.layer.plan.units, "m_w" in names, codes.shape[0], gated))
        assert find_clock_gate(cells.library).name == "ICG_X1" if gated else cells is not None
        found = STORED if "m_w" in names else MADE
        less = found["logic"] | {"clock": found["logic"]["clock"] / 10}
        return {**found, "logic": less, "gates": 12} if gated else found

    x = np.random.default_rng(0).normal(size=(64, 8, 3)).astype(np.float32)
    monkeypatch.setattr(power.Keeper, "layer_energy", energy)
    monkeypatch.setattr(power, "open_labelled", lambda *_, **__: (SimpleNamespace(x=x), "x"))
    monkeypatch.setattr("mubinn.cli.benchmarks.figures.open_labelled", power.open_labelled)
    cells = SimpleNamespace(cells={"SB_LUT4": 1000})
    monkeypatch.setattr(power, "measure_logic", lambda *_: cells)
    result = power.bench_power(model=random_float(features=3, hidden=4), levels=(1, 2))
    stored, made = [(units, True, 64) for units in (1, 4)], [(units, False, 64) for units in (1, 4)]
    assert asked == [
        *((*one, gated) for gated in (False, True) for one in (stored[0], made[0])),
        *((*stored[0], gated) for gated in (False, True)),
        *((*one, gated) for gated in (False, True) for one in (stored[1], made[1])),
    ]
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert values["nj_step_1_1"] == pytest.approx(row("logic", MADE).step_nj)
    assert values["nj_step_loadable_2_2"] == pytest.approx(row("latches", STORED).step_nj)
    assert values["uw_40hz_1_1"] == pytest.approx(row("logic", MADE).average_uw)
    assert values["nj_step_gated_1_1"] < values["nj_step_1_1"] - 0.9
    assert values["nj_step_one_memory_1_1"] == pytest.approx(row("one", STORED).step_nj)
    assert [figure["goal"] for figure in result["figures"] if figure["goal"]] == ["<= 12", "< 5"]
    assert len(result["tables"]) == 3


def test_up5k_by_hand():
    found = up5k_power(403, 0, 40.0)
    assert found.step_nj == pytest.approx(403 * 521.4e-6 * 1.219 / 12e6 * 1e9)
    assert found.average_uw == pytest.approx(STATIC_UW + 0.04 * found.step_nj)
    assert pytest.approx(90) == STATIC_UW
