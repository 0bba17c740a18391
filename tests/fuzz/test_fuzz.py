"""A sample of the campaign: malformed files at every door, and that a fault at a door is seen."""

import time

import numpy as np
import pytest
from fuzz.campaign import Campaign, attempt, cases, good_files
from fuzz.doors import DOORS, Fault, call, check_sentence, command

from mubinn.golden.ground.errors import MubinnError

SAMPLE = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of good files."""
    made = tmp_path_factory.mktemp("fuzz")
    good_files(made)
    return made


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


@pytest.mark.parametrize("name", DOORS)
def test_good_files_come_in(name, folder, tmp_path):
    door = DOORS[name]
    seeds = door.seeds(folder)
    assert seeds
    for seed in seeds:
        copy = tmp_path / f"case{seed.suffix}"
        copy.write_bytes(seed.read_bytes())
        assert door.enter(folder, copy), seed.name


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", DOORS)
def test_malformed_files_end_in_a_sentence(name, folder):
    before = sorted(path.name for path in folder.iterdir())
    for number in range(SAMPLE):
        _, _, fault = attempt(name, number, folder)
        assert fault is None, f"case {number}: {fault}"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_cases_are_the_same_whenever_they_are_made(folder, tmp_path, monkeypatch):
    then = time.localtime(10**9)
    monkeypatch.setattr("time.localtime", lambda *_: then)
    good_files(tmp_path)
    for name, door in DOORS.items():
        for number in range(8):
            made = [door.case(np.random.default_rng(number), place) for place in (folder, tmp_path)]
            assert made[0] == made[1], f"{name} {number}"


@pytest.mark.parametrize("text", ["no end", "two\nlines.", "a " * 1000 + ".", "Traceback x."])
def test_what_is_no_sentence_is_a_fault(text):
    def read(_):
        raise MubinnError(text)

    with pytest.raises(Fault, match="no sentence"):
        call(read)(None, None)
    check_sentence("One sentence.")


def test_a_half_written_output_is_a_fault(folder, monkeypatch):
    def half(path):
        folder.joinpath("left").touch()
        raise MubinnError("Something is wrong.")

    monkeypatch.setattr("mubinn.golden.model.model_file.load_any", half)
    with pytest.raises(Fault, match="it failed and left"):
        command("info", "FILE")(folder, folder / "good.mubinn")
    (folder / "left").unlink()


def test_what_failed_is_tried_again(tmp_path):
    place = tmp_path / "failures"
    place.mkdir()
    (place / "log-3.txt").write_text("a fault that is mended")
    (place / "log-3.case.jsonl").touch()
    campaign = Campaign(tmp_path)
    assert campaign.failures == 1
    campaign.again()
    assert (campaign.failures, list(place.iterdir())) == (0, [])


def test_a_case_that_computes_for_long_is_ended():
    [(number, fault)] = cases("liberty", range(4, 5), seconds=0)
    assert (number, fault) == (4, ("", b"", "more than 0 s of computing"))
