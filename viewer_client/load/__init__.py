"""The load generator: many viewers without windows, and their report."""
