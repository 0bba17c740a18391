"""What results say of their steps: refusals, and the fields of readouts of some steps."""

import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.head import reading_of
from mubinn.golden.model.stamp import Stamp


@pytest.mark.parametrize(
    ("settle", "bits", "words"),
    [
        (None, 33, "a counter of 33 bits: give one of 1 to 32 to count steps"),
        (None, 0, "a counter of 0 bits"),
        (1, None, "settle after 1 steps: give 2 to 4294967295"),
        (16, 4, "settle after 16 steps: give 2 to 15, which is what the counter holds"),
    ],
)
def test_numbers_that_make_no_stamp(settle, bits, words):
    with pytest.raises(MubinnError, match=words):
        Stamp(settle, bits)


@pytest.mark.parametrize("readout", ["last", "mean@3", "leaky"])
def test_a_stream_in_pieces_counts_on(readout):
    stamp, reading = Stamp(15, 4), reading_of(readout)
    before, found = 0, []
    for steps in (7, 1, 9, 8):
        own = stamp.of(before, steps, reading)
        assert {len(values) for values in own.values()} == {reading.results(steps)}
        found += zip(before + reading.given(steps) + 1, *own.values(), strict=True)
        before += steps
    assert all(step == n % 16 and young == (n < 15) for n, step, young in found)
    assert found[-1] == (25, 9, 0)


def test_options_are_of_devices():
    for option, value in (("settle", 160), ("step-counter", 32)):
        result = CliRunner().invoke(mubinn, ["simulate", f"--{option}", str(value)])
        assert f"--{option} is for FPGAs: give it with --device" in " ".join(
            (result.output + result.stderr).split()
        )
