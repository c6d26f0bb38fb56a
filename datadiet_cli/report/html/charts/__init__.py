"""Charts as inline SVG: plain functions from numbers to markup, one file a family."""
