"""An engine in a process of its own, so that no framework is loaded in the caller's."""
