"""Post-training quantization, under the name that programs know."""

from mubinn.golden.quantization.layers import quantize as quantize
