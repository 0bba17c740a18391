"""What a command runs on: full disks, closed output, names too long, paths that are two things."""

import errno
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mubinn.cli.main import COMMANDS, mubinn
from mubinn.cli.shared.group import SURROUNDINGS
from mubinn.cli.shared.paths import Command, InputPath, InputWords, OutputPath

START = "import sys; from mubinn.cli.main import main; sys.exit(main())"


@pytest.fixture
def commands():
    """Return all commands by name, those of groups as well."""
    found = {name: mubinn.get_command(click.Context(mubinn), name) for name in COMMANDS}
    groups = {name: one for name, one in found.items() if isinstance(one, click.Group)}
    inner = {
        f"{name} {key}": one for name, own in groups.items() for key, one in own.commands.items()
    }
    return {name: one for name, one in found.items() if name not in groups} | inner


def test_every_command_keeps_its_paths_apart(commands):
    for name, command in commands.items():
        assert type(command) is Command, name
        for param in command.params:
            if isinstance(param.type, click.Path):
                assert isinstance(param.type, InputPath | InputWords | OutputPath), (name, param)


@pytest.mark.parametrize("number", [*SURROUNDINGS, errno.ENOENT, errno.ESRCH])
def test_faults_of_the_system_are_one_sentence_and_ours_are_not(number, monkeypatch):
    def broken(_):
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr("mubinn.golden.model.model_file.load_any", broken)
    result = CliRunner().invoke(mubinn, ["info"])
    if number in SURROUNDINGS:
        assert result.exit_code == 2
        assert result.stderr == (
            f"mubinn: place: {os.strerror(number).lower()}; {SURROUNDINGS[number]}.\n"
        )
    else:
        assert isinstance(result.exception, OSError)


def test_lack_of_memory_is_told(monkeypatch):
    def broken(_):
        raise MemoryError

    monkeypatch.setattr("mubinn.golden.model.model_file.load_any", broken)
    result = CliRunner().invoke(mubinn, ["info"])
    assert result.exit_code == 2
    assert result.stderr.startswith("mubinn: Out of memory: ")


def run(words, **how):
    command = [sys.executable, "-c", START, *words]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **how)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_output_that_takes_no_more():
    with open("/dev/full", "w") as full:
        result = run(["info"], stdout=full)
    assert result.returncode == 2
    assert result.stderr.startswith("mubinn: no space left on device; free some space")
    assert result.stderr.count("\n") == 1


def test_output_that_was_closed():
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", START, "info"]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_no_folder_for_temporary_files(tmp_path, monkeypatch):
    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    result = CliRunner().invoke(mubinn, ["generate", "-o", str(tmp_path / "made")])
    assert result.exit_code == 2
    assert "set TMPDIR to a folder" in result.stderr
    assert list(tmp_path.iterdir()) == []


LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        *(["info", LONG], ["simulate", LONG], ["synth", LONG], ["generate", LONG, "-o", "made"]),
        *(["simulate", "--data", LONG], ["simulate", "--waves", LONG], ["train", LONG, "-o", "x"]),
        *(["synth", "--liberty", LONG], ["quantize", LONG, "--levels", "1,1", "-o", "made"]),
        *(["quantize", "--levels", "1,1", "-o", LONG], ["generate", "-o", LONG]),
        *(["calibrate", LONG, "x", "-o", "y"], ["report", "-o", LONG], ["train", "-o", LONG]),
        *(["report", "--accuracy", "--logs", LONG, "-o", "made"], ["train", "--runs", LONG]),
        *(["report", "--model", LONG, "-o", "made"], ["report", "--data", LONG, "-o", "made"]),
        *(
            [
                "train",
                "--float-model",
                LONG,
                "-o",
                "made",
                "--method",
                "mubinn2",
                "--levels",
                "1,1",
            ],
        ),
    ],
    ids=lambda words: " ".join(words).replace(LONG, "LONG"),
)
def test_names_too_long_are_one_sentence(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(mubinn, words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("mubinn: ")
    assert result.stderr.count("\n") == 1
    assert "too long" in result.stderr
    assert list(tmp_path.iterdir()) == []
