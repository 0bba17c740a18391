// Models of the 7-series cells that the design names, for simulation: synthesis brings its own.
`timescale 1ns / 1ps

module LUT6 #(
  parameter [63:0] INIT = 64'h0
) (
  output O,
  input I0, I1, I2, I3, I4, I5
);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module LUT6_2 #(
  parameter [63:0] INIT = 64'h0
) (
  output O6, O5,
  input I0, I1, I2, I3, I4, I5
);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule

module CARRY4 (
  output [3:0] CO, O,
  input CI, CYINIT,
  input [3:0] DI, S
);
  wire [3:0] below = {CO[2:0], CI | CYINIT};
  assign O = S ^ below;
  assign CO = (S & below) | (~S & DI);
endmodule
