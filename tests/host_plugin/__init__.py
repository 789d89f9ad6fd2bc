"""The plugin inside Ptychodus."""
