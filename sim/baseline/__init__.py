"""Benches of the full-precision units."""
