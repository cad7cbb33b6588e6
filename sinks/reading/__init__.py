"""Hold what all stores share when they answer: how a condition is read, what a group tells."""
