"""NumPy's files, whole and damaged in every way: arrays, or one sentence."""

import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest

from mubinn.golden.ground.arrays import read_arrays
from mubinn.golden.ground.errors import MubinnError

DAMAGED = "cannot be read as NumPy data; it is truncated or damaged"


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(text, data=bytes(8)):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def archive(members, how=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def fault(path, data):
    path.write_bytes(data)
    with pytest.raises(MubinnError) as info:
        read_arrays(path)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_arrays_are_those_that_were_saved(tmp_path):
    arrays = {
        "a": np.arange(6).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(4, dtype=">i2"),
        "text": np.array(["open", "zu"]),
        "none": np.zeros((0, 3)),
        "empty": np.array(["", ""]),
        "one": np.float32(2),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        read = read_arrays(tmp_path / "a.npz")
        assert list(read) == list(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == np.asarray(array).dtype
            assert np.array_equal(read[name], array)
    (tmp_path / "b.npy").write_bytes(npy(arrays["f"]))
    assert np.array_equal(read_arrays(tmp_path / "b.npy"), arrays["f"])


HEADERS = {
    "syntax": "{'descr': '<f8', 'fortran_order': False, 'shape': (1,",
    "tokens": "{'descr': \x00 (",
    "giant": "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
    "giant text": "{'descr': '<U536870911', 'fortran_order': False, 'shape': (1,), }",
    "truth": "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
    "type": "{'descr': 'zz', 'fortran_order': False, 'shape': (1,), }",
    "deep": "(" * 5000,
}


@pytest.mark.parametrize("case", HEADERS)
def test_damaged_headers(tmp_path, case):
    data = with_header(HEADERS[case])
    assert DAMAGED in fault(tmp_path / "a.npy", data)
    assert DAMAGED in fault(tmp_path / "a.npz", archive({"X.npy": data}))


def test_files_of_python_2_are_read_without_a_word(tmp_path):
    path = tmp_path / "old.npy"
    path.write_bytes(with_header("{'descr': '<i4', 'fortran_order': False, 'shape': (2L,), }\n"))
    assert read_arrays(path).tolist() == [0, 0]


def test_objects_and_what_is_no_array(tmp_path):
    assert "pickled objects" in fault(tmp_path / "a", npy(np.array([{}], object)))
    assert "records of fields" in fault(tmp_path / "a", npy(np.zeros(2, [("a", int)])))
    assert "'note.txt', which is no array" in fault(tmp_path / "a", archive({"note.txt": b"x"}))
    assert DAMAGED in fault(tmp_path / "a", archive({"X.npy": b"no magic"}))
    assert DAMAGED in fault(tmp_path / "a", npy(np.arange(3)) * 2)
    assert DAMAGED in fault(tmp_path / "a", b"")
    with pytest.raises(MubinnError, match="is no file"):
        read_arrays(tmp_path)
    with pytest.raises(MubinnError, match="file name too long"):
        read_arrays(tmp_path / ("n" * 300))


def test_more_than_the_memory_is_refused_before_it_is_taken(tmp_path):
    data = bytearray(archive({"X.npy": npy(np.zeros(9))}))
    size = data.rindex(b"PK\x01\x02") + 24
    data[size : size + 4] = struct.pack("<I", 0xFFFFFFFE)
    path = tmp_path / "a.npz"
    assert any(words in fault(path, bytes(data)) for words in (DAMAGED, "of this machine's memory"))


@pytest.mark.parametrize("how", [0, 8, 12, 14], ids=["stored", "deflate", "bzip2", "lzma"])
def test_altered_bytes_end_in_a_sentence_or_in_arrays(tmp_path, how):
    members = {"X.npy": npy(np.arange(60.0)), "classes.npy": npy(np.array(["open", "zu"]))}
    whole = archive(members, how)
    rng = np.random.default_rng(how)
    path = tmp_path / "a.npz"
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(MubinnError):
            assert isinstance(read_arrays(path), dict)
