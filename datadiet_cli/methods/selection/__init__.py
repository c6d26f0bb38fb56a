"""Choosing columns: filters, wrappers, and what they are compressed to."""
