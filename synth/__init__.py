"""Synthesis: hardware into logic depth, delay and area."""
