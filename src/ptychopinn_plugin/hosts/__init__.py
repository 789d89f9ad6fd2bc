"""Applications that run the engines: code for any of them, and a folder for each."""
