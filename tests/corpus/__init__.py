"""Files that nobody should send: hostile or damaged ones, made by code so that they can be read."""
