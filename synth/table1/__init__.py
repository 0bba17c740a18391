"""Table I: units of a cell, the delay model, the entries."""
