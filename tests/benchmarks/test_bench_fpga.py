"""The placements that the project promises: their designs, and what is made of nextpnr's answer."""

import pytest

from mubinn.cli.benchmarks import fpga as bench
from mubinn.hw.boards.device import find_device
from mubinn.synth.fpga.place_and_route import FpgaResult

MHZ = {"ecp5_3_3": 50.0, "up5k_1_1": 25.0, "up5k_spram_3_3": 20.0}


def test_each_device_gets_its_design(random_float, monkeypatch):
    designs, told = {}, []

    def implemented(job, device, progress):
        name = list(MHZ)[len(designs)]
        designs[name] = job.verilog
        progress("placing")
        used = dict.fromkeys(list(device.resources)[:2], 7)
        return FpgaResult(job.top, device.name, {}, used, MHZ[name], (), b"1234", {"tool": "1"})

    monkeypatch.setattr(bench, "implement", implemented)
    result = bench.bench_fpga(random_float(features=4, hidden=3, classes=2), progress=told.append)
    assert told == [f"{name}: placing" for name in MHZ]
    figures = {figure["name"]: figure["value"] for figure in result["figures"]}
    about = result["parameters"]
    for place in bench.PLACEMENTS:
        cycles = about[f"{place.name} cycles a step"]
        # Frames of level bits are shorter than a step, so that the layer sets the pace.
        assert figures[f"{place.name}_ms"] == 320 * cycles / MHZ[place.name] / 1e3
        assert figures[f"{place.name}_mhz"] == MHZ[place.name]
        first = next(iter(find_device(place.device).resources.values()))
        assert about[f"{place.name} {first.name}"] == f"7 of {first.available}"
        assert about[f"{place.name} bitstream bytes"] == 4
    # Only the last one's weights are not in the design.
    assert ["huge" in text for text in designs.values()] == [False, False, True]


@pytest.mark.slow
def test_the_bundled_model_reaches_every_clock():
    result = bench.bench_fpga()
    print(result)
    found = [figure for figure in result["figures"] if figure["goal"]]
    assert len(found) == 3
    for figure in found:
        assert figure["value"] >= float(figure["goal"].removeprefix(">= ")), figure
