"""Recurrent cells: quantized layers, one time step of each, and their thresholds."""
