"""From raw samples to level bits."""
