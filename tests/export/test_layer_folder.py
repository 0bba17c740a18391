"""Generated folders: what the page and the parameters state is what the Verilog has."""

import hashlib
import json
import re

import pytest
from ordered import with_thresholds

from mubinn.hw.export.layer_folder import PARAMETERS, generate

CASES = {
    "per gate": {"levels": (2, 3)},
    "per row": {"levels": (1, 1), "per_row": True},
    "no offsets": {"levels": (2, 2), "offsets": False, "readout": "last"},
}
MEMORY = re.compile(r"^  reg \[(\d+):0\] (m_\w+) \[(\d+):0\];", re.M)
PORT = re.compile(r"^  (input|output) (?:reg )?(?:\[(\d+):0\] )?(\w+);", re.M)


@pytest.fixture(scope="module", params=CASES)
def made(request, random_model):
    model = random_model(features=5, hidden=3, **CASES[request.param])
    files = generate(model)
    return model, files, json.loads(files[PARAMETERS])


def test_the_files_are_named_and_whole(made):
    _, files, parameters = made
    assert sorted(files) == ["README.md", "lstm_layer.v", "parameters.json"]
    layer = parameters["layers"][0]
    assert (layer["module"], layer["file"]) == ("lstm_layer", "lstm_layer.v")
    assert layer["sha256"] == hashlib.sha256(files["lstm_layer.v"].encode()).hexdigest()


def test_ports_are_those_of_the_verilog(made):
    _, files, parameters = made
    module = re.search(r"^module lstm_layer\(.*?^endmodule", files["lstm_layer.v"], re.M | re.S)
    in_verilog = {(kind, name, int(top or 0) + 1) for kind, top, name in PORT.findall(module[0])}
    stated = parameters["layers"][0]["ports"]
    assert {(p["direction"], p["name"], p["width"]) for p in stated} == in_verilog
    assert len(stated) == 8


def test_fields_fill_their_ports_without_gap_or_overlap(made):
    _, _, parameters = made
    for port in parameters["layers"][0]["ports"]:
        end = 0
        for field in port["fields"]:
            assert field["lowest_bit"] == end
            end += field["width"]
        assert end == (port["width"] if port["name"].endswith("payload") else 0)


def test_memories_are_those_of_the_verilog(made):
    model, files, parameters = made
    in_verilog = {
        (name, int(top) + 1, int(last) + 1)
        for top, name, last in MEMORY.findall(files["lstm_layer.v"])
    }
    stated = parameters["layers"][0]["memories"]
    assert {(m["name"], m["width"], m["words"]) for m in stated} == in_verilog
    assert [m["bits"] for m in stated] == [m["width"] * m["words"] for m in stated]
    assert ("m_h_offset" in {m["name"] for m in stated}) == bool(model.layers[0].h.offset.ndim)


def test_cycles_follow_the_formula(made):
    model, _, parameters = made
    cycles = parameters["layers"][0]["cycles"]
    assert cycles["formula"] == "4 H P + L + 1"
    levels = model.levels
    passes = levels.w * max(levels.x, levels.h)
    assert (cycles["H"], cycles["P"], cycles["L"]) == (3, passes, 10)
    assert cycles["per_step"] == 4 * 3 * passes + 10 + 1


def test_the_page_states_what_the_parameters_hold(made):
    model, files, parameters = made
    page, layer = files["README.md"], parameters["layers"][0]
    for port in layer["ports"]:
        assert f"| `{port['name']}` | {port['direction']} | {port['width']} |" in page
    for memory in layer["memories"]:
        assert f"| `{memory['name']}` | {memory['figure3']} |" in page
        assert f" | {memory['words']} | {memory['width']} | {memory['bits']} |" in page
    assert f"**{layer['cycles']['per_step']}** cycles" in page
    for name in ("x", "h"):
        scales = ", ".join(map(str, getattr(model.layers[0], name).scales))
        assert f"scales {scales}, level 0 first" in page
    assert "| fold | 0 |" in page
    assert f"reads {'the mean of h' if model.readout == 'mean' else 'h of the last step'}" in page


def test_the_same_model_gives_the_same_files(made):
    model, files, _ = made
    assert generate(model) == files


def test_a_stack_is_one_file_a_layer(random_model):
    files = generate(random_model(levels=(1, 1), features=3, hidden=2, depth=2))
    assert {"lstm_layer_0.v", "lstm_layer_1.v"} < set(files)
    modules = [
        set(re.findall(r"^module (\S+?)[ (]", files[f"lstm_layer_{k}.v"], re.M)) for k in (0, 1)
    ]
    assert not modules[0] & modules[1]
    assert "Connect `lstm_layer_0` -> `lstm_layer_1`" in files["README.md"]


def test_the_page_tells_how_thresholds_encode(random_model):
    model = with_thresholds(random_model(0, (2, 2), features=5, hidden=3), leave=("x",))
    files = generate(model)
    own = model.layers[0].h.encoder
    stated = json.loads(files[PARAMETERS])["layers"][0]
    assert stated["state"]["thresholds"] == own.thresholds.tolist()
    assert stated["state"]["codes"] == own.codes.tolist()
    assert "thresholds" not in stated["input"]
    numbers = ", ".join(map(str, own.thresholds))
    assert files["README.md"].count(f"count the thresholds {numbers} that value - offset") == 1
    assert files["README.md"].count("the bit is 1 where the rest is at least 0") == 1
