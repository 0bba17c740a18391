"""Table I: units of a cell, the schedule, the entries."""
