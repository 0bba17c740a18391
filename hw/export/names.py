"""Names of modules that a user gives."""

import re

from mubinn.golden.ground.errors import MubinnError

TAKEN = {"testbench": "the folder's bench has that name"}

# IEEE 1364-2005, and what IEEE 1800 adds that is likely as a name.
_KEYWORDS = """
always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
default defparam design disable edge else end endcase endconfig endfunction endgenerate endmodule
endprimitive endspecify endtable endtask event for force forever fork function generate genvar
highz0 highz1 if ifnone incdir include initial inout input instance integer join large liblist
library localparam macromodule medium module nand negedge nmos nor noshowcancelled not notif0
notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup
pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran
rtranif0 rtranif1 scalared showcancelled signed small specify specparam strong0 strong1 supply0
supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire
vectored wait wand weak0 weak1 while wire wor xnor xor
alias assert assume bind bit break byte chandle checker class clocking const constraint context
continue cover do enum export expect extends extern final global import inside int interface let
local logic longint matches modport new null package packed priority program property protected
pure rand ref return sequence shortint shortreal static string strong struct super tagged this
throughout type typedef union unique var virtual void weak with within
"""
KEYWORDS = frozenset(_KEYWORDS.split())


def module_name(name: str) -> str:
    """Return `name`, which a module may have in any tool.

    Raises
    ------
    MubinnError
        If it is no plain identifier, or has a meaning of its own.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise MubinnError(
            f"{name!r} is no name of a module: give letters, digits and underscores, a letter "
            "first."
        )
    if name in KEYWORDS or name in TAKEN:
        why = TAKEN.get(name, "it is a keyword of Verilog")
        raise MubinnError(f"{name} is no name of a module ({why}): give another.")
    return name
