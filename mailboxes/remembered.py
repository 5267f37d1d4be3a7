"""Functions that remember what they made of the last few header fields, until told to forget.

One message asks for the same few fields a dozen times, and a hundred messages of one unit for the
same addresses. But what is remembered is text that people wrote: it must not outlive a message that
was refused, or that only the office may read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_ALL: list[Any] = []


def remembered(number: int) -> Callable[[F], F]:
    """A decorator: the results for the last `number` arguments are kept until `forget`."""

    def wrap(function: F) -> F:
        keeping = lru_cache(number)(function)
        _ALL.append(keeping)
        return keeping  # type: ignore[return-value]  # called as the function is

    return wrap


def forget() -> None:
    """Forget all of it, in this process."""
    for keeping in _ALL:
        keeping.cache_clear()
