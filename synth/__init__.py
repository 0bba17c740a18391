"""Hardware turned into numbers: logic depth, delay and area from Yosys and ABC."""

from mubinn.golden.ground.process import Cancelled
from mubinn.synth.flow.flow import SynthJob, synthesize, synthesize_many, to_verilog, tool_versions
from mubinn.synth.flow.result import Metric, SynthResult
from mubinn.synth.liberty.library import DEFAULT_DONT_USE, Library, builtin_library, load_library
from mubinn.synth.liberty.tech65 import tech65_liberty

__all__ = [
    "DEFAULT_DONT_USE",
    "Cancelled",
    "Library",
    "Metric",
    "SynthJob",
    "SynthResult",
    "builtin_library",
    "load_library",
    "synthesize",
    "synthesize_many",
    "tech65_liberty",
    "to_verilog",
    "tool_versions",
]
