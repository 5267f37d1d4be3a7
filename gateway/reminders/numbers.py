"""Telephone numbers in the one form that carriers take, and in the form that people may read."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s\-().（）－]+")
_SHORT = re.compile(r"\d{3,6}")
_INTERNATIONAL = re.compile(r"[1-9]\d{6,14}")


class InvalidNumber(ValueError):
    """The text is not a number that a reminder can be sent to."""


def international(text: str, country_code: str) -> str:
    """Digits only, country code first (E.164 without the plus); a short number stays as it is.

    `+86 138-0000-0001`, `0086...`, `13800000001` and `8613800000001` give the same number. A
    national number is one of at most 11 digits that does not start with the country code and a
    mobile's length; its leading zero, if any, falls away.
    """
    digits = _SEPARATORS.sub("", text)
    if digits.startswith("+"):
        full = digits[1:]
    elif digits.startswith("00"):
        full = digits[2:]
    elif _SHORT.fullmatch(digits):
        return digits
    elif digits.startswith(country_code) and len(digits) > 11:
        full = digits
    else:
        full = country_code + digits.removeprefix("0")
    if not _INTERNATIONAL.fullmatch(full):
        raise InvalidNumber("not a telephone number")
    return full


def masked(number: str) -> str:
    """The number with its middle hidden, for log and evidence: `8613****0001`."""
    return number[:4] + "****" + number[-4:] if len(number) > 8 else "****" + number[-2:]
