"""The files of Ptychodus: scans and products; the only readers and writers that import it."""
