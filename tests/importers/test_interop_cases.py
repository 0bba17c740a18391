"""The program behind `make interop`: its cases, without the frameworks."""

import runpy
from collections import Counter
from pathlib import Path

PROGRAM = runpy.run_path(str(Path(__file__).parent / "interop.py"))


def test_there_are_120_files_of_all_sorts():
    cases = PROGRAM["cases"]()
    assert len({case.name for case in cases}) == len(cases) >= 120
    families = Counter(case.family for case in cases)
    for word in ("PyTorch", "safetensors", "ONNX of torch.jit", "ONNX of torch.export", "tf2onnx"):
        assert any(word in family for family in families)
    for word in ("Keras 2 .keras", "Keras 2 .h5", "Keras 3 .keras", "Keras 3 .h5"):
        assert families[word] >= 8


def test_a_file_is_made_once(tmp_path, capsys, monkeypatch):
    made = []

    def make(path, rng, sizes, x):
        made.append(path)
        return PROGRAM["RECORDER"]["onnx_node"]("LSTM")(path, rng, sizes, x)

    case = PROGRAM["Case"]("by hand", "m.onnx", make)
    monkeypatch.setitem(PROGRAM["main"].__globals__, "cases", lambda: [case])
    monkeypatch.setattr("sys.argv", ["interop", "--folder", str(tmp_path)])
    assert PROGRAM["main"]() == PROGRAM["main"]() == 0
    assert len(made) == 1
    assert "1/1 m.onnx: equal" in capsys.readouterr().out
    (tmp_path / "m.onnx").write_bytes(b"")
    assert PROGRAM["main"]() == 1
    assert "it is empty" in capsys.readouterr().out
