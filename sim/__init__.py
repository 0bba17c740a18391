"""cocotb test benches that drive the hardware against the golden model, and their runner."""
