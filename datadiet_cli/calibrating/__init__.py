"""What `calibrate` does: plant known faults in a sample, run the steps on it, measure what they find, propose."""
