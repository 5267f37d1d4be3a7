"""Measurements against peers and promises; never assertions about time."""
