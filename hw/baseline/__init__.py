"""Full-precision units: binary32 and fixed point."""
