"""cocotb test benches that drive the hardware against the golden model, and their runner.

A bench of a unit is one file, ``tb_<stem>.py``, with its stimulus and its golden results; a test
runs it by :func:`mubinn.sim.runner.unit_check.check_unit`. docs/concepts/benches.md shows one.
"""
