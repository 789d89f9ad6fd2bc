"""Tests of groups and of stitching."""
