"""Samples of INPUT as a page can show them."""
