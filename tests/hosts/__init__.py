"""Tests of the code that any host needs."""
