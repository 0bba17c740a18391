"""What a user installs: a wheel with everything in it, and an environment that make sets up."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("golden", "hw", "sim", "synth", "reports", "train", "cli")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("mubinn-*.whl")))


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    held = {name.removeprefix("mubinn/") for name in wheel.namelist() if name.startswith("mubinn/")}
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert held == on_disk
    assert {f"{name}/py.typed" for name in PACKAGES} <= held
    assert {"train/models/eeg_float.safetensors", "train/models/eeg_3_3.mubinn"} <= held
    assert any(name.startswith("reports/templates/") for name in held)


def test_the_wheel_names_program_and_licence(wheel):
    info = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "mubinn = mubinn.cli.main:main" in wheel.read(info).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_wheel_runs(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        "import sys; from mubinn.cli import main\n"
        f"assert main.__file__.startswith({str(tmp_path)!r}), main.__file__\n"
        "sys.argv = ['mubinn', 'info']; main.main()"
    )
    # A finder of an editable installation would come before the path: -S leaves it out.
    paths = [str(tmp_path), *(path for path in sys.path if path.endswith("site-packages"))]
    command = [sys.executable, "-S", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "eeg_3_3.mubinn" in run.stdout


@pytest.fixture
def make(tmp_path):
    """Return how to make the environment with a python that fails as a script says."""

    def run(script):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        venv = tmp_path / "venv"
        command = ["make", f"PYTHON={python}", f"VENV={venv}", f"{venv}/bin/python"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return result, venv

    return run


def test_make_needs_a_recent_python(make):
    result, venv = make("exit 1")
    assert result.returncode == 2
    assert "older than 3.11" in result.stderr
    assert not venv.exists()


def test_make_says_what_debian_lacks(make):
    result, venv = make('test "$1" = -c || { for last; do :; done; mkdir -p "$last"; exit 1; }')
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr
    assert not venv.exists()


def test_make_falls_back_to_virtualenv(make):
    script = 'test "$1" = -c && exit; test "$2" = virtualenv || exit 1; mkdir -p "$4/bin"; '
    result, venv = make(f'{script} touch "$4/bin/python"')
    assert result.returncode == 0, result.stderr
    assert (venv / "bin" / "python").exists()
