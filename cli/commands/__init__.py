"""The commands of ``mubinn``."""
