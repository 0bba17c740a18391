"""From a model to an FPGA: resources, place and route, bitstream."""
