"""Make a network smaller: what may go, what it is worth, how much goes, and what heals the rest."""
