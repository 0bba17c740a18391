"""Kernels for GPUs, in JAX's Pallas."""
