"""Files and folders written whole, and the folder of all caches."""

import os
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import cache_root, publish, write_file, write_folder


def test_a_file_is_replaced_whole_or_stays(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file"
    with pytest.raises(MubinnError, match="file cannot be written: no such file or directory"):
        write_file(path, b"old")
    write_file(path, b"old", parents=True)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MubinnError, match="no space left on device; give another path"):
        write_file(path, b"third")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_whole_or_stays(tmp_path, monkeypatch):
    place = tmp_path / "place"
    write_folder(place, {"a": "text", "deep/b": b"bytes"})
    write_folder(place, {"a": "other"})
    assert [path.name for path in place.iterdir()] == ["a"]
    rename = Path.rename

    def interrupted(self, other):
        if self.name.endswith(".tmp"):
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(place, {"a": "third"})
    assert (place / "a").read_text() == "other"
    assert list(tmp_path.iterdir()) == [place]


def test_publish_keeps_the_first(tmp_path):
    first, second, place = tmp_path / "first", tmp_path / "second", tmp_path / "place"
    for folder in (first, second):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    publish(first, place)
    publish(second, place)
    assert (place / "name").read_text() == "first"
    assert not second.exists()
    with pytest.raises(FileNotFoundError):
        publish(second, tmp_path / "other")


def test_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MUBINN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == Path("~/.cache/mubinn").expanduser()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_root() == tmp_path / "caches" / "mubinn"
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "ours"))
    assert cache_root() == tmp_path / "ours"
    assert cache_root(room="sim") == tmp_path / "ours" / "sim"
    assert cache_root(tmp_path / "own", "sim") == tmp_path / "own"
    assert (tmp_path / "own").is_dir()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "file"))
    with pytest.raises(MubinnError, match=r"sim cannot be written \(Not a directory\); set MUBINN"):
        cache_root(room="sim")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MubinnError, match=r"own cannot be written \(Permission denied\); set"):
        cache_root(tmp_path / "own")
