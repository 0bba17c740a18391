"""Recordings: loaded, prepared, made up."""
