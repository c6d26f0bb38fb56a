"""What a user may say: settings as models, read from YAML, the environment and flags."""
