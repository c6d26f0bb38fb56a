"""The parts of `apply`: a transform that was written down, and what it does to new data."""
