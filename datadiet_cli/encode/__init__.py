"""A sample -> a hash, a small picture, numbers. Reads files, decides nothing."""
