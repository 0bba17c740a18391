"""Words: sets of texts, as they are published or made, as windows of numbers."""
