"""The units of Figure 3 in hardware."""
