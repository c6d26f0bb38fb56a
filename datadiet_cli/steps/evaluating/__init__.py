"""The parts of `evaluate`: which samples are compared, what is trained, and what two models are worth."""
