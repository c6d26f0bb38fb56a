"""One module a subcommand: what is asked of the data, and what follows from the answer."""
