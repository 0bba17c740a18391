"""Arithmetic as functions without ports: bit heaps, adders, comparison, shifters, tables."""
