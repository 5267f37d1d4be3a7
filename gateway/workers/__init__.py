"""Who takes mail in: the daemon's own process, or worker processes beside it.

`crew` is the daemon's side of the workers, `worker` the other side; a `channel` joins each two.
"""
