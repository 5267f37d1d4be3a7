"""What mail programs fetch to set themselves up: Thunderbird, Outlook, Apple's.

None of it depends on who asks: whether an account exists is told only to its owner. What a request
says is read without entities, and its document type is refused, so nothing in it is ever resolved.
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from gateway.domain.address import Address, InvalidAddress
from gateway.portal.servers import Security, Server

_LARGEST = 16_384  # octets of a request
_RESPONSES = "http://schemas.microsoft.com/exchange/autodiscover"
_SPACE = uuid.UUID("6f1f5a4e-7d55-5c3b-9a39-6f1a2f0f3f11")  # ours: a profile keeps its ids


@dataclass(frozen=True, slots=True)
class Facts:
    """What all three are made from."""

    domain: str
    name: str  # of the office, as programs show it
    outgoing: Sequence[Server]
    incoming: Sequence[Server]  # the best first; empty: there is none
    ca: bytes = b""  # DER of the office CA; empty: there is none


class NotRead(ValueError):
    """The request is not one that Outlook makes; the message says why."""


def thunderbird(facts: Facts) -> bytes:
    """The document config-v1.1 (Thunderbird, also KMail, Evolution, K-9, FairEmail)."""
    entries = [
        *(_thunderbird("incomingServer", one) for one in facts.incoming),
        *(_thunderbird("outgoingServer", one) for one in facts.outgoing),
    ]
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<clientConfig version="1.1">\n'
        f'  <emailProvider id="{escape(facts.domain)}">\n'
        f"    <domain>{escape(facts.domain)}</domain>\n"
        f"    <displayName>{escape(facts.name)}</displayName>\n"
        f"    <displayShortName>{escape(facts.name)}</displayShortName>\n"
        f"{''.join(entries)}"
        "  </emailProvider>\n"
        "</clientConfig>\n"
    )
    return text.encode()


def _thunderbird(element: str, one: Server) -> str:
    socket = "SSL" if one.security is Security.IMPLICIT else "STARTTLS"
    return (
        f'    <{element} type="{one.protocol}">\n'
        f"      <hostname>{escape(one.host)}</hostname>\n"
        f"      <port>{one.port}</port>\n"
        f"      <socketType>{socket}</socketType>\n"
        "      <authentication>password-cleartext</authentication>\n"  # within TLS
        "      <username>%EMAILLOCALPART%</username>\n"
        f"    </{element}>\n"
    )


def read_autodiscover(octets: bytes) -> Address:
    """The address that Outlook asks for. Raises NotRead."""
    if len(octets) > _LARGEST:
        raise NotRead("the request is too large")
    found: list[str] = []
    within = False

    def begin(name: str, _attributes: dict[str, str]) -> None:
        nonlocal within
        within = name.rpartition(" ")[2] == "EMailAddress"

    def end(_name: str) -> None:
        nonlocal within
        within = False

    def data(text: str) -> None:
        if within:
            found.append(text)

    def refuse(*_given: object) -> None:
        raise NotRead("the request declares a document type")

    parser = expat.ParserCreate(None, " ")
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(octets, True)
        return Address.parse("".join(found))
    except expat.ExpatError:
        raise NotRead("the request is not XML") from None
    except InvalidAddress:
        raise NotRead("the request names no mail address") from None


def autodiscover(facts: Facts, address: Address) -> bytes:
    """Outlook's answer for an address of the office."""
    entries = [
        _outlook(one.protocol.upper(), one, address)
        for one in (*facts.incoming[:1], *facts.outgoing[:1])  # it takes one of each kind
    ]
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Autodiscover xmlns="{_RESPONSES}/responseschema/2006">\n'
        f'  <Response xmlns="{_RESPONSES}/outlook/responseschema/2006a">\n'
        "    <Account>\n"
        "      <AccountType>email</AccountType>\n"
        "      <Action>settings</Action>\n"
        f"{''.join(entries)}"
        "    </Account>\n"
        "  </Response>\n"
        "</Autodiscover>\n"
    )
    return text.encode()


def _outlook(kind: str, one: Server, address: Address) -> str:
    implicit = one.security is Security.IMPLICIT
    return (
        "      <Protocol>\n"
        f"        <Type>{kind}</Type>\n"
        f"        <Server>{escape(one.host)}</Server>\n"
        f"        <Port>{one.port}</Port>\n"
        "        <DomainRequired>off</DomainRequired>\n"
        f"        <LoginName>{escape(address.local)}</LoginName>\n"
        "        <SPA>off</SPA>\n"
        f"        <SSL>{'on' if implicit else 'off'}</SSL>\n"
        f"        <Encryption>{'SSL' if implicit else 'TLS'}</Encryption>\n"
        "        <AuthRequired>on</AuthRequired>\n"
        "      </Protocol>\n"
    )


def autodiscover_error(sentence: str) -> bytes:
    """Outlook's answer where there is none (600: the request is not valid)."""
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Autodiscover xmlns="{_RESPONSES}/responseschema/2006">\n'
        "  <Response>\n"
        '    <Error Time="00:00:00" Id="0">\n'
        "      <ErrorCode>600</ErrorCode>\n"
        f"      <Message>{escape(sentence)}</Message>\n"
        "      <DebugData />\n"
        "    </Error>\n"
        "  </Response>\n"
        "</Autodiscover>\n"
    )
    return text.encode()


def mobileconfig(facts: Facts, address: Address | None) -> bytes:
    """Apple's profile: the office CA, and the mail account if there is a server to read from.

    Apple takes no mail account without a server to read from. The profile is not signed; the page
    that gives it is under TLS.
    """
    payloads: list[dict[str, object]] = []
    if facts.ca:
        payloads.append(
            {
                **_payload(facts, "com.apple.security.root", "ca", facts.name),
                "PayloadCertificateFileName": "ca.crt",
                "PayloadContent": facts.ca,
            }
        )
    if address is not None and facts.incoming and facts.outgoing:
        payloads.append(_apple_account(facts, address))
    profile = {
        **_payload(facts, "Configuration", str(address or ""), facts.name),
        "PayloadOrganization": facts.name,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": payloads,
    }
    return plistlib.dumps(profile)


def _apple_account(facts: Facts, address: Address) -> dict[str, object]:
    reading, sending = facts.incoming[0], facts.outgoing[0]
    return {
        **_payload(facts, "com.apple.mail.managed", f"mail {address}", str(address)),
        "EmailAccountType": "EmailTypeIMAP" if reading.protocol == "imap" else "EmailTypePOP",
        "EmailAddress": str(address),
        "EmailAccountDescription": facts.name,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": reading.host,
        "IncomingMailServerPortNumber": reading.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address.local,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": sending.host,
        "OutgoingMailServerPortNumber": sending.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address.local,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }


def _payload(facts: Facts, kind: str, what: str, shown: str) -> dict[str, object]:
    identifier = ".".join(reversed(facts.domain.split(".")))
    made = uuid.uuid5(_SPACE, f"{facts.domain} {kind} {what}")
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.yizhan.{made}",
        "PayloadUUID": str(made).upper(),
        "PayloadDisplayName": shown,
    }
