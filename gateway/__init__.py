"""Yizhan (驿站): an electronic post office for official documents."""

__version__ = "0.1.0"
