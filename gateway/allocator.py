"""Makes the C library give memory back to the system: what one large mail took, all can use.

glibc raises its limit for blocks that are mapped on their own, and given back when freed, to the
size of the largest block freed so far: after one password check (19 MiB) or one large message the
next such blocks come from heaps that are kept, one for each thread. Measured with 40 messages of
25 MB: 65 MB that the daemon and 63 MB that a child never gave back.
"""

from __future__ import annotations

import ctypes

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MAPPED = 1 << 17  # octets: larger blocks are mapped on their own


def tame() -> bool:
    """Fix the limit and the number of heaps, before the first thread.

    False where the library is not glibc; nothing has changed then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # The interpreter's lock lets one thread allocate at a time, so two heaps are enough.
    wishes = ((_M_MMAP_THRESHOLD, MAPPED), (_M_TRIM_THRESHOLD, MAPPED), (_M_ARENA_MAX, 2))
    done = [mallopt(name, value) == 1 for name, value in wishes]
    return all(done)
