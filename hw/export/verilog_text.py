"""Verilog of a design, as it is handed out."""

import re
from typing import Any

from mubinn.hw.export.yosys import run_yosys

# Processes stay as Amaranth has them, as it does itself in `amaranth.back.verilog`.
_SCRIPT = """\
read_rtlil <<rtlil
{logic}
rtlil
proc -nomux -norom
memory_collect
write_verilog -norename
"""

_MODULE = re.compile(r"^module .*?^endmodule$", re.M | re.S)
_STARTER = re.compile(r"^ *reg (\\\$auto\$verilog_backend\S+ ) = 0;\n", re.M)
_LONE = re.compile(r"^( *)always @\*\n( *)(.*;)$", re.M)

# What Verilator says with its defaults of Verilog as Yosys writes it: constants that are shifted
# and cut, signals of no bits, cases over some values alone. All versions know the older names.
_LINT = """\
// verilator lint_save
// verilator lint_off WIDTH
// verilator lint_off LITENDIAN
// verilator lint_off CASEINCOMPLETE
{}// verilator lint_restore
"""

_START = """\
  reg {0};
  // verilator lint_off INITIALDLY
  initial {0}<= 1'b0;
  // verilator lint_on INITIALDLY
"""


def verilog_text(design: Any, name: str) -> str:
    """Return an Amaranth design as Verilog, the same text each time.

    Every ``always @*`` runs at time 0. Yosys has most of them read a register that nothing but its
    declaration sets, and leaves the rest to the registers that they read. A declaration's value is
    an event in Verilog, but in SystemVerilog it comes before all processes: what depends on
    constants, or on registers that have not changed yet, would stay X. So all blocks here read a
    register that an assignment sets once they wait, in either language.
    """
    from amaranth.back import rtlil  # type: ignore[attr-defined]  # not in the stubs

    logic = rtlil.convert(design, name=name, emit_src=False)
    return _LINT.format(_MODULE.sub(_started, run_yosys(_SCRIPT.format(logic=logic))))


def _started(module: re.Match[str]) -> str:
    """Return a module whose ``always @*`` blocks all read the one register."""
    text = module[0]
    found = _STARTER.search(text)
    starter = found[1] if found else r"\$started "
    text = _LONE.sub(
        lambda block: (
            f"{block[1]}always @* begin\n{block[2]}if ({starter}) begin end\n"
            f"{block[2]}{block[3]}\n{block[1]}end"
        ),
        text,
    )
    if f"if ({starter}) begin end" not in text:
        return text
    text = _STARTER.sub("", text)
    head, body = text.split(");\n", 1)
    return f"{head});\n{_START.format(starter)}{body}"
