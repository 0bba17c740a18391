"""The bench of the bare cell."""
