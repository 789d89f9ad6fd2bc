"""Training and inference of the networks, the same for every backend; no framework."""
