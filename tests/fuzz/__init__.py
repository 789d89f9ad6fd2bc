"""Readers under random damage: `python -m tests.fuzz --cases 10000 --seed 1`."""
