"""Many scans: which there are, which are done, the processes that reconstruct, and the table."""
