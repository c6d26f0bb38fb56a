"""What `select-samples` is made of: scores, what is chosen by them, and the file they are kept in."""
