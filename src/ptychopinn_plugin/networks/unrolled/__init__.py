"""The `unrolled` architecture: a learned stage between passes of the solver."""
