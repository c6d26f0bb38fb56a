"""Tests of the report and what is made of it."""
