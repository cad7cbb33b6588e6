"""Hold what runs: client, bus, configuration, command line; no sink is named here."""
