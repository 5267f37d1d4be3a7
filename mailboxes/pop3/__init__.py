"""The POP3 service of the mailboxes (RFC 1939): a small second face over the same INBOX.

It gives copies away and changes nothing for anybody else: DELE hides a message from the account's
own POP3 view (see `mailboxes.taken`), and what is in the folder stays there.
"""
