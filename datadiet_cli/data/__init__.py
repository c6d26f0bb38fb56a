"""A dataset on disk <-> samples in memory."""
