"""Applications that run the engines: what any of them needs, and one folder for each."""
