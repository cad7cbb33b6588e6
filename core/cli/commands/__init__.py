"""Hold the commands, one a module; each is imported when it is called and no earlier."""
