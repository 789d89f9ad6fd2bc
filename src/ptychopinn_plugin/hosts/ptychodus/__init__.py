"""The Ptychodus side: the only place that imports `ptychodus`."""
