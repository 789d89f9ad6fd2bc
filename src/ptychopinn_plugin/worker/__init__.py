"""An engine in a process of its own, so that the calling process loads no framework."""
