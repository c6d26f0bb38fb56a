"""The parts of `select-features`: what is chosen from, how it is ranked or compressed, and what is told of it."""
