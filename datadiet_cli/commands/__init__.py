"""The commands: those that carry out steps, and those that are none."""
