"""Answer an operator's questions on the command line; nothing here is imported by the library."""
