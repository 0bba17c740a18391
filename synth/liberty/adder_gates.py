"""The full-adder gate of a library, for netlists that name it: ABC never maps to one by itself."""

import re

from mubinn.synth.liberty.boolean import inputs, truth_table
from mubinn.synth.liberty.library import Library, LibraryGate

PARITY, MAJORITY = (3, 0b10010110), (3, 0b11101000)

_MAP = """
(* blackbox *) module {gate}(input {ins}, output {carry}, {sum}); endmodule
(* techmap_celltype = "$fa" *) module full_adders(A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  genvar k;
  generate for (k = 0; k < WIDTH; k = k + 1) begin
    {gate} u (.{a}(A[k]), .{b}(B[k]), .{c}(C[k]), .{carry}(X[k]), .{sum}(Y[k]));
  end endgenerate
endmodule
"""


def adder_map(library: Library) -> tuple[str, str] | None:
    """Return Verilog that makes full adders of ``$fa``: the gate alone, then the map.

    The smallest full adder is taken; None where the library has none.
    """
    found = [(c.area_um2, c.name, p) for c in library.usable() if c.area_um2 and (p := _pins(c))]
    if not found:
        return None
    _, gate, (ins, carry, total) = min(found)
    a, b, c, gate, carry, total = map(_verilog, (*ins, gate, carry, total))
    text = _MAP.format(gate=gate, ins=f"{a}, {b}, {c}", a=a, b=b, c=c, carry=carry, sum=total)
    box, rest = text.split("endmodule", 1)
    return box + "endmodule\n", rest.lstrip()


def _verilog(name: str) -> str:
    """Return a name as Verilog writes it, escaped where it must be."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"\\{name} "


def _pins(gate: LibraryGate) -> tuple[tuple[str, str, str], str, str] | None:
    """Return inputs, carry and sum of a gate that is a full adder and nothing else."""
    if gate.has_state or len(gate.functions) != 2:
        return None
    outputs, ins = {}, set[str]()
    for pin in gate.group.of("pin"):
        function = pin.get("function")
        if function:
            outputs[truth_table(function, 3)] = pin.arguments[0]
            ins.update(inputs(function))
    if set(outputs) != {PARITY, MAJORITY} or len(ins) != 3:
        return None
    a, b, c = sorted(ins)
    return (a, b, c), outputs[MAJORITY], outputs[PARITY]
