"""Choose samples: scores, rules that choose by them, and choices by features alone."""
