"""Tests of the settings: their values, where they come from, their names elsewhere."""
