"""The FPGAs that accelerators are made for."""
