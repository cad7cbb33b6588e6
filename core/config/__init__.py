"""Turn environment and file into one checked configuration, with the origin of each value."""
