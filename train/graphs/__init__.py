"""Training graphs in JAX."""
