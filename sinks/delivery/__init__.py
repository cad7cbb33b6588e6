"""Feed a remote sink from the journal, at least once and in order per run."""
