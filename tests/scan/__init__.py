"""Tests of the data contract and its readers."""
