"""IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051) over the mailboxes.

So far its grammar; the session and the commands are to come, and nothing serves it yet.
"""
