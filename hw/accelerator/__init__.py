"""Whole models in hardware."""
