"""Prune a model: open it, choose what goes, heal what is left, and prove what it cost."""
