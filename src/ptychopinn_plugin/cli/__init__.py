"""The command line `ptychopinn`."""
