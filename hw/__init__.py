"""Amaranth HDL units of the paper's Figure 3, their composition, and FP baselines."""
