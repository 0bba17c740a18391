"""Designs as files: Verilog, folders, C header, vectors, pages, driver."""
