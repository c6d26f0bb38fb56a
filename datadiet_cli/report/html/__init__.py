"""The report as one HTML page for people."""
