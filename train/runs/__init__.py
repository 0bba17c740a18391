"""Training runs: one or many, with checkpoints."""
