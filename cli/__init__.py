"""The ``mubinn`` command."""
