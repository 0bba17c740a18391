"""Memories as black boxes, so that a count of LUTs is one of logic alone."""

COMMANDS = (
    "hierarchy -check -top {top}",
    "proc -norom",  # tables in logic stay logic
    "flatten",
    "opt_clean",
    "memory -nomap",  # with the registers that block RAM has at its ports
    "read_verilog -lib box.v",
    "techmap -map map.v t:$mem_v2",
    "opt_clean",
)
"""Before the command that maps the logic; they read `FILES`."""

BOX = "memory_box"
"""The cell that stands for a memory."""

_BOX = """
module memory_box(RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA,
  WR_CLK, WR_EN, WR_ADDR, WR_DATA);
  parameter ABITS = 1, WIDTH = 1, RD_PORTS = 1, WR_PORTS = 1;
  input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;
  input [RD_PORTS*ABITS-1:0] RD_ADDR;
  output [RD_PORTS*WIDTH-1:0] RD_DATA;
  input [WR_PORTS-1:0] WR_CLK;
  input [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA;
  input [WR_PORTS*ABITS-1:0] WR_ADDR;
endmodule
"""

# Without write ports a memory's write signals are one bit wide.
_MAP = """
(* techmap_celltype = "$mem_v2" *)
module any_memory(RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA,
  WR_CLK, WR_EN, WR_ADDR, WR_DATA);
  parameter MEMID = "", SIZE = 1, OFFSET = 0, ABITS = 1, WIDTH = 1, INIT = 0;
  parameter RD_PORTS = 1, RD_CLK_ENABLE = 0, RD_CLK_POLARITY = 0, RD_TRANSPARENCY_MASK = 0;
  parameter RD_COLLISION_X_MASK = 0, RD_WIDE_CONTINUATION = 0, RD_CE_OVER_SRST = 0;
  parameter RD_ARST_VALUE = 0, RD_SRST_VALUE = 0, RD_INIT_VALUE = 0;
  parameter WR_PORTS = 1, WR_CLK_ENABLE = 0, WR_CLK_POLARITY = 0, WR_PRIORITY_MASK = 0;
  parameter WR_WIDE_CONTINUATION = 0;
  localparam WR = WR_PORTS ? WR_PORTS : 1;
  input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;
  input [RD_PORTS*ABITS-1:0] RD_ADDR;
  output [RD_PORTS*WIDTH-1:0] RD_DATA;
  input [WR-1:0] WR_CLK;
  input [WR*WIDTH-1:0] WR_EN, WR_DATA;
  input [WR*ABITS-1:0] WR_ADDR;
  memory_box #(.ABITS(ABITS), .WIDTH(WIDTH), .RD_PORTS(RD_PORTS), .WR_PORTS(WR))
    _TECHMAP_REPLACE_ (.RD_CLK(RD_CLK), .RD_EN(RD_EN), .RD_ARST(RD_ARST), .RD_SRST(RD_SRST),
      .RD_ADDR(RD_ADDR), .RD_DATA(RD_DATA), .WR_CLK(WR_CLK), .WR_EN(WR_EN), .WR_ADDR(WR_ADDR),
      .WR_DATA(WR_DATA));
endmodule
"""

FILES = {"box.v": _BOX, "map.v": _MAP}
"""Verilog by name."""
