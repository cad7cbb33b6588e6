"""Hold one benchmark a file; each has measure(setting), which returns what it found."""
