"""From Verilog to a netlist and its figures: Yosys, ABC, kept results."""
