"""Full-precision units: binary32 and fixed point, bit for bit."""
