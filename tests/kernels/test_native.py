"""The native code: how it is compiled and kept, and which instruction sets it is asked for."""

import os

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.kernels import XnorProduct, native


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Return a cache of its own, and forget what is loaded."""
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    native.library.cache_clear()
    native.instruction_sets.cache_clear()
    yield tmp_path / "cache" / "kernels"
    native.library.cache_clear()
    native.instruction_sets.cache_clear()


def program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_it_is_compiled_once(fresh, monkeypatch):
    monkeypatch.setattr(native, "FLAGS", ("-O0", *native.FLAGS[1:]))
    native.library()
    (kept,) = fresh.iterdir()
    assert kept.suffix == ".so"
    native.library.cache_clear()
    monkeypatch.setattr(native, "run_process", None)
    native.library()


def test_without_a_compiler(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MubinnError, match=r"needs g\+\+.*`apt-get install g\+\+`"):
        XnorProduct.of([[1]])


def test_a_compiler_that_fails_leaves_nothing(fresh, monkeypatch, tmp_path):
    program(tmp_path / "bin", "g++", "echo 'cannot execute cc1plus' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(MubinnError, match=r"cannot execute cc1plus; install all of it"):
        native.library()
    assert list(fresh.iterdir()) == []


def test_an_instruction_set_is_refused_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(native, "instruction_sets", lambda: ("portable",))
    assert XnorProduct.of([[1]]).instruction_set == "portable"
    with pytest.raises(MubinnError, match="this machine lacks avx512: choose from portable"):
        XnorProduct.of([[1]], instruction_set="avx512")
    with pytest.raises(
        MubinnError, match="unknown instruction set sse: choose from portable, avx2"
    ):
        XnorProduct.of([[1]], instruction_set="sse")
