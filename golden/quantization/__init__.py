"""Post-training quantization: level bits and scales fitted to a float model."""
