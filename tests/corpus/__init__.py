"""Chinese mail as real clients write it, made by the tests themselves, with the facts it holds.

Each module is a family of clients; each sample is a function that returns a `Sample`. The forms are
those that the clients are known for: raw GBK in headers, encoded words that cut a letter in two,
GB2312 labels on GB18030 text, file names in RFC 2231, RFC 2047 or raw octets, winmail.dat.
"""

from __future__ import annotations

from tests.corpus import (
    apple,
    coremail,
    foxmail,
    outlook,
    qqmail,
    systems,
    thunderbird,
    traditional,
)
from tests.corpus.sample import Sample

MODULES = (foxmail, outlook, qqmail, coremail, thunderbird, apple, traditional, systems)


def samples() -> list[Sample]:
    """Every sample, by module, in the order in which they are written there."""
    return [make() for module in MODULES for make in module.SAMPLES]
