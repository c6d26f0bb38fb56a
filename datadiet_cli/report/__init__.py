"""Outcomes -> JSON, and lines for the terminal."""
