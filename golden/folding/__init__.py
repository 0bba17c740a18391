"""How a layer is folded onto hardware: lanes (FINN's SIMD), units (its PE), and cycles."""
