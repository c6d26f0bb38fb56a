"""The parts of `balance`: groups, samples that go, samples that are made, and weights."""
