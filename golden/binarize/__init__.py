"""Residual binarization: level counts, Algorithm 1, quantizers and the forms of their scales."""
