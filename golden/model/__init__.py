"""Whole networks: float and quantized, their file, the reference, the bit-true run and bounds."""
