"""Tests of the Ptychodus files."""
