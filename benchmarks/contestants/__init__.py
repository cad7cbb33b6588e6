"""Do the same work in different ways: ours, the physical floors, and the peers; one class for each way."""
