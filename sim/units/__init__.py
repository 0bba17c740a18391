"""Benches of the units of Figure 3."""
