"""The bench of a layer: every intermediate, or speed."""
