"""The measurements of ``mubinn bench``."""
