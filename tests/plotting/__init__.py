"""Tests of results, scores and pictures."""
