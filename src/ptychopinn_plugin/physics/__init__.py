"""The physics of ptychography, written once over `Ops` for every framework."""
