"""A scan divided in space among several processes, and whole in one."""
