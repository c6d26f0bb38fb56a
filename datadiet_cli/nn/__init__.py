"""Neural networks: where they run, and which files may be loaded as one."""
