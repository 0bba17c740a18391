"""Files and folders written whole, and the folder of all caches."""

import json
import os
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import (
    cache_root,
    check_file,
    check_folder,
    publish,
    write_file,
    write_folder,
)

MARK = "mark.json"


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
    assert write_folder(place, {"a": "text", "deep/b": b"bytes"}, MARK) == ("a", "deep/b", MARK)
    write_folder(place, {"a": "other"}, MARK)
    assert sorted(path.name for path in place.iterdir()) == ["a", MARK]
    rename = Path.rename

    def interrupted(self, other):
        if self.name.endswith(".tmp"):
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(place, {"a": "third"}, MARK)
    assert (place / "a").read_text() == "other"
    assert list(tmp_path.iterdir()) == [place]


def test_a_link_is_followed(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    link.symlink_to(there)
    check_file(link)
    write_file(link, b"new")
    assert link.is_symlink()
    assert there.read_bytes() == b"new"


def test_a_pipe_is_not_replaced(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        for write in (check_file, lambda path: write_file(path, b"new")):
            with pytest.raises(MubinnError, match="is a device, a pipe or a socket"):
                write(path)
    assert pipe.is_fifo()
    with pytest.raises(MubinnError, match="is a folder: give the path of a file"):
        write_file(tmp_path, b"new")


def test_names_as_long_as_they_can_be(tmp_path):
    write_file(tmp_path / ("n" * 255), b"new")
    write_folder(tmp_path / ("f" * 255), {"a": "text"}, MARK)
    for check in (check_file, lambda path: check_folder(path, MARK)):
        with pytest.raises(MubinnError, match="cannot be written: file name too long"):
            check(tmp_path / ("n" * 256))


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    place = tmp_path / "place"
    (tmp_path / "file").write_text("precious")
    with pytest.raises(MubinnError, match="is not a folder"):
        check_folder(tmp_path / "file", MARK)
    write_folder(place, {"a": "text", MARK: '{"own": 1}'}, MARK)
    assert json.loads((place / MARK).read_text()) == {"own": 1, "files": ["a", MARK]}
    (place / "notes").mkdir()
    (place / "notes" / "mine.txt").write_text("precious")
    with pytest.raises(MubinnError, match=r"notes/mine\.txt, which was not written there"):
        write_folder(place, {"a": "other"}, MARK)
    assert (place / "a").read_text() == "text"
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", {"a": "text"}, MARK)


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
