"""Bring the records of other stores into this one, by way of its journal, from where every sink gets them."""
