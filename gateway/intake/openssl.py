"""Says to OpenSSL what Python's `ssl` cannot: which groups exchange keys, and to keep no sessions.

Keys are exchanged by X25519, P-256 or P-384 and nothing else, which keeps a handshake cheap for us.
OpenSSL's defaults allow finite fields of up to 8,192 bits. There a client that sends random octets
makes the server compute for 25 ms, a hundred times the price of a handshake (CVE-2002-20001), and
all clients share the thread that does it.

Sessions of TLS 1.2 are not kept: thousands of them would lie in memory, each with a secret that
opens what was said.

Python learns to name the groups in 3.15 (`SSLContext.set_groups`). Until then OpenSSL is called
directly; where that cannot be done P-256 alone is allowed, which `ssl` can say and every client can
do (RFC 8446, 9.1), at the price of one more round trip.
"""

from __future__ import annotations

import ctypes
import ssl
import sys

GROUPS = ("X25519", "P-256", "P-384")  # Mozilla's intermediate, in its order

# Of these Modules/_ssl.c was read: where the pointer stands that is used below.
_KNOWN = ((3, 11), (3, 12), (3, 13))

# openssl/ssl.h
_SET_SESSION_CACHE_MODE = 44
_CACHE_OFF = 0
_SET_GROUPS_LIST = 92


def restrict(context: ssl.SSLContext) -> None:
    """Let this context exchange keys by `GROUPS` only and, where that can be said, keep nothing."""
    if not _told(context):
        context.set_ecdh_curve("prime256v1")


def _told(context: ssl.SSLContext) -> bool:
    """Whether OpenSSL could be called for the context and has agreed."""
    usual = sys.implementation.name == "cpython" and not hasattr(sys, "gettotalrefcount")
    if not usual or sys.version_info[:2] not in _KNOWN:
        return False  # another layout in memory would be a crash, so nothing is tried there
    try:
        import _ssl  # noqa: PLC0415  # its absence is an answer

        library = ctypes.CDLL(_ssl.__file__)  # and all that it is linked to
        read, control = library.SSL_CTX_get_options, library.SSL_CTX_ctrl
    except (ImportError, AttributeError, OSError):
        return False
    pointer = ctypes.c_void_p
    read.argtypes, read.restype = (pointer,), ctypes.c_uint64
    control.argtypes = (pointer, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    control.restype = ctypes.c_long
    # PySSLContext of CPython's Modules/_ssl.c: the object's head, then SSL_CTX *ctx.
    handle = pointer.from_address(id(context) + object.__basicsize__)
    if not handle or int(read(handle)) & 0xFFFF_FFFF != int(context.options) & 0xFFFF_FFFF:
        return False  # not the object that we know
    control(handle, _SET_SESSION_CACHE_MODE, _CACHE_OFF, None)
    return bool(control(handle, _SET_GROUPS_LIST, 0, ":".join(GROUPS).encode()) == 1)
