"""``mubinn bench popcount``: the 132-lane XNOR popcount beside what synthesis makes of a sum.

The baseline is ``sum(~(a ^ b))`` written in Verilog, as a user would; both go through the same
strategies of Yosys and ABC with one library, and of each the fastest result counts.
"""

from typing import Any

from mubinn.cli.benchmarks.figures import figure
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.popcount import Popcount
from mubinn.synth.flow.flow import SynthJob, synthesize, tool_versions
from mubinn.synth.flow.result import SynthResult
from mubinn.synth.fpga.place_and_route import measure
from mubinn.synth.liberty.library import Library, builtin_library

LANES = 132
TOP = "popcount"
FPGA = "xc7"


def _baseline(lanes: int) -> SynthJob:
    """Return the sum of XNOR gates as one expression in a loop."""
    width = lanes.bit_length()
    text = f"""
        module {TOP}(input [{lanes - 1}:0] a, b, output reg [{width - 1}:0] count);
          wire [{lanes - 1}:0] same = ~(a ^ b);
          integer k;
          always @* begin
            count = 0;
            for (k = 0; k < {lanes}; k = k + 1) count = count + {{{width - 1}'b0, same[k]}};
          end
        endmodule
    """
    return SynthJob(text, TOP)


def bench_popcount(lanes: int = LANES, library: Library | None = None) -> dict[str, Any]:
    """Return depth, delay, area and LUTs of the popcount beside the baseline's.

    Parameters
    ----------
    lanes : int
    library : Library, optional
        By default the built-in one.
    """
    library = library or builtin_library()
    params = XnorMultiplierParams(lanes)
    gates = {
        "ours": SynthJob(verilog_text(Popcount(params), TOP), TOP),
        "baseline": _baseline(lanes),
    }
    slices = {
        "ours": SynthJob(verilog_text(Popcount(params, network=FPGA), TOP), TOP),
        "baseline": _baseline(lanes),
    }
    made = {name: synthesize(job, library=library) for name, job in gates.items()}
    ours, plain = made.values()
    luts = {name: _luts(job) for name, job in slices.items()}
    speedup, area = plain.delay_ps / ours.delay_ps, ours.area_um2 / plain.area_um2
    return {
        "figures": [
            figure(f"depth_{lanes}", ours.depth, "gates", "<= 25"),
            figure(f"speedup_{lanes}", speedup, "ratio", ">= 1.4"),
            figure(f"area_ratio_{lanes}", area, "ratio", "<= 1"),
            figure(f"luts_{lanes}", luts["ours"], "LUTs", "<= 178"),
        ],
        "versions": tool_versions(),
        "parameters": {
            "library": library.name,
            "fo4_ps": library.fo4_ps,
            "lanes": lanes,
            "luts_of": FPGA,
            **{key: value for name, r in made.items() for key, value in _about(name, r).items()},
            **{f"{name}_luts": count for name, count in luts.items()},
        },
    }


def _luts(job: SynthJob) -> float:
    """Return the LUTs of a 7-series netlist, one with two outputs counted once."""
    device = find_device(FPGA)
    return device.estimate(measure(job, (device.command(TOP),)).cells)["LUT"]


def _about(name: str, result: SynthResult) -> dict[str, Any]:
    return {
        f"{name}_depth": result.depth,
        f"{name}_gates": result.gates,
        f"{name}_delay_ps": result.delay_ps,
        f"{name}_delay_fo4": result.delay_fo4,
        f"{name}_area_um2": result.area_um2,
        f"{name}_strategy": result.strategies["mapped"],
    }
