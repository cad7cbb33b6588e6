"""Keep the journal: the ordered truth from which every other store can be rebuilt."""
