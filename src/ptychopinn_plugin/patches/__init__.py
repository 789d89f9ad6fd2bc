"""Patches of the object: which of them are seen together, and how they become one object."""
