"""What is estimated beside object and probe, called after every pass."""
