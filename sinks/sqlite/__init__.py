"""Keep the runs in SQLite, behind the journal and rebuilt from it."""
