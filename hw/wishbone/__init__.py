"""Accelerators on a Wishbone bus."""
