"""The layer at full size, in both datapaths: 32 features, 100 cells, 320 steps of real EEG.

Without the recordings the windows are synthetic; each test prints which. Run by `make slow`.
"""

import pytest
from simulators import needs_icarus

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.binarize.levels import parse_levels
from mubinn.golden.model.model_file import load_float
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer

pytestmark = pytest.mark.slow

WINDOWS = 20


@pytest.mark.parametrize(
    ("levels", "simulator", "count", "datapath", "network"),
    [
        ("1,1", "verilator", WINDOWS, "figure3", "asic"),
        ("3,3", "verilator", WINDOWS, "figure3", "asic"),
        ("2,4", "verilator", WINDOWS, "figure3", "asic"),
        ("5,5", "verilator", WINDOWS, "figure3", "asic"),
        pytest.param("3,3", "icarus", 1, "figure3", "asic", marks=needs_icarus),
        ("1,1", "verilator", WINDOWS, "threshold", "asic"),
        ("3,3", "verilator", WINDOWS, "threshold", "asic"),
        ("3,3", "verilator", WINDOWS, "threshold", "xc7-plain"),
        ("2,4", "verilator", WINDOWS, "threshold", "lut4"),
        ("5,5", "verilator", WINDOWS, "threshold", "asic"),
    ],
)
def test_every_intermediate_of_whole_windows(
    windows_of, levels, simulator, count, datapath, network
):
    calibration, windows, kind = windows_of(count)
    assert windows.shape == (count, 320, 32)
    model = quantize(load_float(bundled(FLOAT_MODEL)), parse_levels(levels), calibration)
    model = model.with_datapath(datapath)
    result = check_layer(model, model.encode_input(windows), network=network, simulator=simulator)
    assert int(result.outputs["windows"]) == count
    print(
        f"\n{levels}, {datapath}, {network}, on {simulator}: {count} windows of 320 steps of "
        f"{kind} EEG, {result.cycles} cycles, "
        f"{result.cycles / result.seconds:.0f} cycles/s with every intermediate compared"
    )
