"""Files: scans, reconstructions and trained models."""
