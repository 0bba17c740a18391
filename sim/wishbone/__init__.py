"""Simulations of accelerators on a Wishbone bus."""
