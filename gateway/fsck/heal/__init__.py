"""Heals faults, one file for each kind of rows; what is signed is never touched."""
