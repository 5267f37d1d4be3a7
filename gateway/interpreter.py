"""How a process that runs for months uses its interpreter.

Memory is given back after large mail and seldom looked through; threads take short turns.

glibc raises its limit for blocks that are mapped on their own, and given back when freed, to the
size of the largest block freed so far: after one password check (19 MiB) or one large message the
next such blocks come from heaps that are kept, one for each thread. Measured with 40 messages of
25 MB: 65 MB that the daemon and 63 MB that a child never gave back.

The collector of cycles looks through young objects every 700 that are made, and now and then
through all that the program has ever imported. Once the office is open that is never garbage.
"""

from __future__ import annotations

import ctypes
import gc
import sys

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MAPPED = 1 << 17  # octets: larger blocks are mapped on their own
_TURN = 0.0005  # seconds
_YOUNG = 10_000  # objects that are made, and not freed, until the collector looks through them


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


def take_short_turns() -> None:
    """Let no thread keep the interpreter for more than half a millisecond when another one waits.

    The event loop answers clients, threads read for them: by default each of the loop's steps would
    wait up to 5 ms for a thread that computes, and a command is several steps.
    """
    sys.setswitchinterval(_TURN)


def settle() -> None:
    """Keep what there is now out of the collector's sight: the program, the settings, the rules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
