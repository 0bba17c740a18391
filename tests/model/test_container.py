"""The container of model files: every byte counts, and every fault is one sentence."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import container
from mubinn.golden.model.container import Container, from_bytes, to_bytes
from mubinn.golden.model.model_file import load_any, save_model


def refused(path, load=load_any):
    """The message of the refusal: one line that names the file."""
    with pytest.raises(MubinnError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path)[:60] in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("kind", ["quantized", "float"])
def test_every_altered_byte_is_noticed(random_model, random_float, tmp_path, kind):
    path = tmp_path / "a"
    save_model(path, random_model(1, (2, 2), 3, 2) if kind == "quantized" else random_float(1))
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= int(rng.integers(1, 256)) if position % 2 else 1 << rng.integers(8)
        with pytest.raises(MubinnError):
            from_bytes(bytes(altered))
        if position % 37 == 0:
            path.write_bytes(altered)
            refused(path)
    from_bytes(data)


def test_every_truncation_and_any_tail_is_noticed(random_model, tmp_path):
    path = tmp_path / "a"
    save_model(path, random_model(1, (1, 1), 2, 2))
    data = path.read_bytes()
    for length in range(len(data)):
        with pytest.raises(MubinnError):
            from_bytes(data[:length])
    for other in (data[:-1], data[: len(data) // 2], data + b"\0", data + b" " * 8):
        path.write_bytes(other)
        refused(path)


def test_padding_and_order_of_the_header_are_part_of_the_file(random_model, tmp_path):
    path = tmp_path / "a"
    save_model(path, random_model(1))
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for other in (json.dumps(header), json.dumps(dict(reversed(header.items())))):
        text = other.encode() + b" " * (-len(other) % 8)
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        assert "altered" in refused(path)


def test_absent_and_unusual_paths(tmp_path, random_model):
    assert "does not exist" in refused(tmp_path / "none")
    assert "is not a regular file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refused(tmp_path / "pipe")
    assert "cannot be read: file name too long" in refused(tmp_path / ("a" * 300))
    with pytest.raises(MubinnError, match=r"cannot be written: no such file or directory"):
        save_model(tmp_path / "none" / "a", random_model(1))
    (tmp_path / "folder").mkdir()
    with pytest.raises(MubinnError, match=r"folder is a folder: give the path of a file"):
        save_model(tmp_path / "folder", random_model(1))
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_failed_write_leaves_the_old_file(tmp_path, random_model, monkeypatch):
    path = tmp_path / "a"
    save_model(path, random_model(1))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MubinnError, match="no space left on device"):
        save_model(path, random_model(2))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a"]


def test_foreign_files(tmp_path, monkeypatch):
    path = tmp_path / "a"
    for data in (b"", b"abc", b"\xff" * 100, b"PK\3\4" * 50, b"\0" * 64):
        path.write_bytes(data)
        refused(path)
    for text in (b"[]", b"{}", b"3", b"[" * 100_000, b'{"__metadata__":[]}', b"\xff\xff"):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        refused(path)
    safetensors.numpy.save_file({"weight": np.zeros(3)}, path, {"format": "pt"})
    assert "not written by MuBiNN" in refused(path)
    monkeypatch.setattr(container, "MAX_HEADER", 10)
    assert "header is too long" in refused(path)
    monkeypatch.setattr(container, "MAX_BYTES", 10)
    assert "larger than any model file" in refused(path)


@pytest.mark.parametrize("text", ["3", "[" * 50_000, "{", '{"layers":NaN}'])
def test_forged_structures_are_refused(tmp_path, random_model, monkeypatch, text):
    path = tmp_path / "a"
    real = container.canonical
    monkeypatch.setattr(
        container, "canonical", lambda value: text if value == {"here": 1} else real(value)
    )
    path.write_bytes(to_bytes(Container("mubinn-quantized", {"here": 1}, {"a": np.zeros(1)})))
    monkeypatch.undo()
    refused(path)


def test_a_header_as_long_as_another_file_begins_is_read():
    """Lengths whose bytes are those that pickles of PyTorch begin with."""
    for length in (0x280, 0x480):
        made = Container("f", {"note": ""}, {})
        short = int.from_bytes(to_bytes(made)[:8], "little")
        made.structure["note"] = "x" * (length - short)
        data = to_bytes(made)
        assert data[:2] == length.to_bytes(2, "little")
        assert from_bytes(data).structure == made.structure
