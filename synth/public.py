"""The names of `mubinn.synth`: what programs use of it."""

from mubinn.hw.export.verilog_text import verilog_text as verilog_text
from mubinn.synth.flow.flow import SynthJob as SynthJob
from mubinn.synth.flow.flow import synthesize as synthesize
from mubinn.synth.flow.flow import synthesize_many as synthesize_many
from mubinn.synth.flow.flow import tool_versions as tool_versions
from mubinn.synth.flow.result import Metric as Metric
from mubinn.synth.flow.result import SynthResult as SynthResult
from mubinn.synth.liberty.library import DEFAULT_DONT_USE as DEFAULT_DONT_USE
from mubinn.synth.liberty.library import Library as Library
from mubinn.synth.liberty.library import builtin_library as builtin_library
from mubinn.synth.liberty.library import load_library as load_library
from mubinn.synth.liberty.tech65 import tech65_liberty as tech65_liberty
from mubinn.synth.netlist.sta import analyse as analyse
from mubinn.synth.table1.table1 import measure as measure
