"""Calibration to one person."""
