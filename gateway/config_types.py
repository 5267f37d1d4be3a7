"""The types of settings, each with the sentence for a value that is none."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

_LABEL = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_domain(name: str) -> bool:
    """Whether it can be the mail domain of an office."""
    return "." in name and is_host(name)


def is_host(name: str) -> bool:
    """Whether it is a lower-case host name (RFC 1123, 2.1)."""
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def _network(value: object) -> object:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8") from None


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address such as 127.0.0.1 or ::1") from None


IpAddress = Annotated[str, AfterValidator(_ip_address)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Octets = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_network)]


class Section(BaseModel):
    """A table of the file. Unknown keys and wrong types are errors."""

    # Each command reads the settings: what describes them is read by `manual` alone (0.1 s), and a
    # table is prepared when the first value is put into it.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
