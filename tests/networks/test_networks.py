"""A sample of the campaign, and that it sees a difference."""

import pytest
from networks import campaign
from networks.random_network import check, random_network
from simulators import needs_icarus

from mubinn.golden.model import bit_true

pytestmark = needs_icarus


@pytest.mark.parametrize("seed", [2, 5, 7, 8])
def test_networks_are_equal_on_all_floors(seed, tmp_path):
    told = check(random_network(seed), tmp_path)
    assert told["values"] > 0
    assert told["cycles"] > 0


def test_the_same_number_is_the_same_network():
    assert str(random_network(5)) == str(random_network(5))
    assert len({str(random_network(seed)) for seed in range(20)}) == 20


def test_a_difference_is_seen(monkeypatch):
    real = bit_true.frames_after

    def turned(layer, ahead, x):
        frames, left = real(layer, ahead, x)
        return frames[..., ::-1], left

    monkeypatch.setattr(bit_true, "frames_after", turned)
    assert campaign.attempt(5)["error"] == "AssertionError: fast inference"
