"""One module a command, each with `run(flags)`; it is imported when the command runs.

A module has the name of the command, and `flags` is of the class of that command in `cli.options`.
"""
