"""Energy of a cell operation."""
