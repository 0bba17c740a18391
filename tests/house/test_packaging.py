"""What a user installs: a wheel with everything in it, and an environment that make sets up."""

import os
import re
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


CHECK = ROOT / ".ci" / "prerequisites"


@pytest.fixture
def check(tmp_path):
    """Return how to ask for what is missing where some programs are not there or do not work."""

    def run(python="exit 0", **programs):
        scripts = {"python": python, "g++": "cat >/dev/null", "make": "", "perl": "", **programs}
        for name, script in scripts.items():
            if script is not None:
                (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
                (tmp_path / name).chmod(0o755)
        (tmp_path / "cat").symlink_to(shutil.which("cat"))
        command = ["/bin/sh", CHECK, tmp_path / "python"]
        return subprocess.run(command, env={"PATH": tmp_path}, capture_output=True, text=True)

    return run


def test_nothing_is_missing(check):
    result = check()
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("python", "programs", "packages"),
    [
        ("exit 1", {}, "python3-venv python3-dev"),
        ('case "$*" in *ensurepip*|*virtualenv*|*pip*) exit 1;; esac', {}, "python3-venv"),
        ('case "$*" in *ensurepip*|*virtualenv*) exit 1;; esac', {"g++": "exit 1"}, "g++"),
        ('case "$*" in *ctypes*) exit 1;; esac', {}, "python3-dev"),
        ("exit 0", {"g++": None, "make": None, "perl": "exit 2"}, "g++ make perl"),
    ],
)
def test_one_line_says_what_is_missing(check, python, programs, packages):
    result = check(python, **programs)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.endswith(f": apt install {packages}")


def test_this_python_has_its_shared_library():
    """By the rule of the check as by that of cocotb, which the other tests rely on."""
    result = subprocess.run(["/bin/sh", CHECK, sys.executable], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_readme_names_every_package_that_the_check_names():
    [line] = [s for s in (ROOT / "README.md").read_text().splitlines() if "apt install" in s]
    named = re.findall(r'lacks "[^"]*" "?([^"\n]+)', CHECK.read_text())
    assert set(line.partition("apt install ")[2].split()) == set(" ".join(named).split())


def test_pip_speaks_where_it_fails(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    for status in (0, 1):
        python.write_text(f"#!/bin/sh\necho WARNING: a word of pip\nexit {status}\n")
        python.chmod(0o755)
        command = ["make", f"VENV={venv}", f"{venv}/.run"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ("a word of pip" in result.stdout + result.stderr) == bool(status)
        assert (result.returncode == 0) == (status == 0)
        (venv / ".run").unlink(missing_ok=True)
