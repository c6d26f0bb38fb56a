"""What each engine costs, and a model of a cluster that is larger than the machine it was measured on."""
