"""Laws of the worker process."""
