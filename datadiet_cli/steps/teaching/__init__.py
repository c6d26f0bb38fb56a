"""Teach reference models: what `train` and `evaluate` have in common."""
