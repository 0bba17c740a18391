"""Benches of the AXI ports and the driver."""
