"""Mailboxes over SQL: folders, messages, flags and UIDs, and the structure that IMAP asks for.

Knows nothing of its owner: the tables are made on a MetaData that is handed in, every method works
on the caller's connection, and blobs are read through a function that the caller gives.
"""
