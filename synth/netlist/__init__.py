"""Mapped netlists: depth, static timing, pipelining, activity."""
