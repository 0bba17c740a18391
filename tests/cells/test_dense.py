"""Layers without a state: no columns of W_h, in files, in memories, in cycles."""

import numpy as np
import pytest
from own_cells import float_model, windows
from simulators import needs_icarus

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import dense
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import bit_true, model_file
from mubinn.golden.model.container import Container, read_container, write_container
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.model_file import load_any, load_float, save_model
from mubinn.golden.quantize import quantize
from mubinn.hw.layer.layer_memory import weight_layout
from mubinn.sim.layer.layer_check import check_layer

INPUTS, H = 5, 4


def made(levels=(2, 3), depth=1):
    return quantize(float_model(dense, depth), Levels.of(*levels), windows())


def test_rows_have_no_columns_of_a_state():
    layer = made().layers[0]
    assert layer.wh.bits.shape == (3, H, 0)
    assert (layer.sizes.columns, layer.sizes.phase_columns(0)) == (0, 0)
    own = float_model(dense).layers[0]
    with pytest.raises(MubinnError, match=r"wh has shape \(4, 4\), expected \(4, 0\)"):
        FloatLayer(dense, own.wx, np.zeros((H, H)), own.b)


@pytest.mark.parametrize(("lanes", "words"), [(None, 1), (INPUTS, 1), (3, 2), (2, 3)])
def test_rows_meet_x_alone(lanes, words):
    plan = LayerPlan(made().layers[0], lanes=lanes)
    assert plan.parts == ({"x": INPUTS} if words == 1 else {"part": lanes})
    assert plan.gate_issues == H * 2 * 3 * words
    width = weight_layout(plan).as_shape().width
    assert width == (INPUTS if words == 1 else lanes) * plan.schedule.slots


def test_a_classifier_on_top_reads_it():
    model = made()
    plan = LayerPlan(model.layers[0], model.dense)
    assert plan.parts == {"x": INPUTS, "h": H}
    assert [own.columns for own in plan.passes] == [0, H]


HARDWARE = {
    "one word": {},
    "a word and a classifier": {"units": 4, "classify": True},
    "several words": {"lanes": 3, "units": 2},
    "several words and a classifier": {"lanes": 2, "units": 9, "classify": True},
}


@needs_icarus
@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_equals_the_bit_true_model(name, datapath):
    model = made((2, 2)).with_datapath(datapath)
    codes = model.encode_input(windows())[:2]
    assert check_layer(model, codes, pause=0.4, simulator="icarus", **HARDWARE[name]).tests == 2


def older(content):
    """The content of a file from when W_h had a column a cell."""
    structure, tensors = content.structure, dict(content.tensors)
    for k, layer in enumerate(structure["layers"]):
        levels, rows, _ = layer["stored"]["wh"]["shape"]
        layer["stored"]["wh"]["shape"] = [levels, rows, rows]
        tensors[f"{k}.M_w.wh"] = np.full((levels * rows * rows + 7) // 8, 0xA5, np.uint8)
    return Container(content.format, structure, tensors)


def test_files_with_columns_that_nothing_reads_are_read(tmp_path):
    model, path = made(depth=2), tmp_path / "m.mubinn"
    write_container(path, older(model_file.quantized_content(model)))
    again, codes = load_any(path), model.encode_input(windows())
    assert [layer.wh.bits.shape for layer in again.layers] == [(3, H, 0)] * 2
    assert (bit_true.run(again, codes)[1] == bit_true.run(model, codes)[1]).all()
    save_model(tmp_path / "again.mubinn", again)
    save_model(path, model)
    assert path.read_bytes() == (tmp_path / "again.mubinn").read_bytes()


def test_float_files_with_columns_that_nothing_reads_are_read(tmp_path):
    model, path = float_model(dense), tmp_path / "m.safetensors"
    save_model(path, model)
    content = read_container(path)
    assert content.tensors["0.wh"].shape == (H, 0)
    tensors = {**content.tensors, "0.wh": np.zeros((H, H), np.float32)}
    write_container(path, Container(content.format, content.structure, tensors))
    assert load_float(path).layers[0].wh.shape == (H, 0)
