"""What mail programs are told follows the settings, in whatever form they ask."""

from __future__ import annotations

import plistlib
from pathlib import Path
from xml.etree import ElementTree as Tree  # of what the office itself has made

import pytest

from gateway import config_file
from gateway.config import Config
from gateway.domain.address import Address
from gateway.errors import ConfigurationError
from gateway.portal import autoconfig, records
from gateway.portal.servers import incoming, outgoing

WATER = Address("water", "heping.test")


def load(folder: Path, portal: str = "[portal]\n") -> Config:
    file = folder / "yizhan.toml"
    file.write_text(
        '[office]\ndomain = "heping.test"\nname = "甲 & 乙"\n[state]\ndirectory = "state"\n'
        '[tls]\ncertificate = "tls.crt"\nkey = "tls.key"\n'
        '[[submission.listeners]]\nport = 587\naddress = "10.1.0.25"\n'
        f'[[submission.listeners]]\nport = 465\ntls = "implicit"\naddress = "0.0.0.0"\n{portal}'
    )
    return config_file.load(file)


def facts(config: Config) -> autoconfig.Facts:
    return autoconfig.Facts(
        config.office.domain, config.office.name, outgoing(config), incoming(config), b"ca"
    )


DOORS = """[mailboxes]
[[mailboxes.listeners]]
protocol = "pop3"
port = 110
tls = "starttls"
[[mailboxes.listeners]]
protocol = "pop3"
port = 995
[[mailboxes.listeners]]
port = 143
tls = "starttls"
[[mailboxes.listeners]]
port = 993
"""
IMAP = '[portal]\nimap_host = "imap.heping.test"\n'


def test_an_imap_server_that_is_named_is_told_to_every_program(tmp_path: Path) -> None:
    known = facts(load(tmp_path, IMAP))
    root = Tree.fromstring(autoconfig.thunderbird(known))  # noqa: S314  # our own
    [one] = root.iter("incomingServer")
    assert (one.get("type"), one.findtext("hostname"), one.findtext("port")) == (
        "imap", "imap.heping.test", "993",
    )  # fmt: skip
    assert root.findtext("emailProvider/displayName") == "甲 & 乙"
    said = autoconfig.autodiscover(known, WATER).decode()
    assert said.index("<Type>IMAP</Type>") < said.index("<Type>SMTP</Type>")
    profile = plistlib.loads(autoconfig.mobileconfig(known, WATER))
    account = profile["PayloadContent"][1]
    assert account["IncomingMailServerHostName"] == "imap.heping.test"
    assert account["OutgoingMailServerPortNumber"] == 465
    again = plistlib.loads(autoconfig.mobileconfig(known, WATER))
    assert again["PayloadUUID"] == profile["PayloadUUID"]  # installed again it replaces itself
    other = plistlib.loads(autoconfig.mobileconfig(known, Address("tax", "heping.test")))
    assert other["PayloadUUID"] != profile["PayloadUUID"]


def test_without_a_door_to_the_mailboxes_no_server_to_read_from_is_told(tmp_path: Path) -> None:
    known = facts(load(tmp_path))
    assert b"incomingServer" not in autoconfig.thunderbird(known)
    assert b"IMAP" not in autoconfig.autodiscover(known, WATER)
    profile = plistlib.loads(autoconfig.mobileconfig(known, WATER))
    assert len(profile["PayloadContent"]) == 1  # Apple takes no account without one


def test_the_offices_own_doors_are_told_imap_first_and_tls_first(tmp_path: Path) -> None:
    known = facts(load(tmp_path, f"[portal]\n{DOORS}"))
    assert [(one.protocol, one.host, one.port) for one in known.incoming] == [
        ("imap", "mail.heping.test", 993),
        ("imap", "mail.heping.test", 143),
        ("pop3", "mail.heping.test", 995),
        ("pop3", "mail.heping.test", 110),
    ]
    root = Tree.fromstring(autoconfig.thunderbird(known))  # noqa: S314  # our own
    assert [one.get("type") for one in root.iter("incomingServer")] == [
        "imap", "imap", "pop3", "pop3",
    ]  # fmt: skip
    said = autoconfig.autodiscover(known, WATER).decode()
    assert "<Type>IMAP</Type>" in said and "POP3" not in said  # Outlook takes one


def test_another_imap_server_that_is_named_is_told_instead(tmp_path: Path) -> None:
    [one] = facts(load(tmp_path, IMAP + DOORS)).incoming
    assert (one.host, one.port) == ("imap.heping.test", 993)


def test_an_office_with_pop3_alone_says_so_everywhere(tmp_path: Path) -> None:
    only = '[portal]\n[[mailboxes.listeners]]\nprotocol = "pop3"\nport = 995\n'
    known = facts(load(tmp_path, only))
    assert "<Type>POP3</Type>" in autoconfig.autodiscover(known, WATER).decode()
    account = plistlib.loads(autoconfig.mobileconfig(known, WATER))["PayloadContent"][1]
    assert account["EmailAccountType"] == "EmailTypePOP"
    assert account["IncomingMailServerPortNumber"] == 995


def test_the_records_name_the_doors_to_the_mailboxes(tmp_path: Path) -> None:
    found = lines(load(tmp_path, f"[portal]\n{DOORS}"))
    for service, port in (("_imaps", 993), ("_imap", 143), ("_pop3s", 995), ("_pop3", 110)):
        value = f"0 1 {port} mail.heping.test."
        assert (f"{service}._tcp.heping.test.", "SRV", value) in found


def lines(config: Config, *addresses: str) -> list[tuple[str, str, str]]:
    return [(one.name, one.kind, one.value) for one in records.records(config, addresses)]


def test_the_records_name_each_service_and_say_which_are_absent(tmp_path: Path) -> None:
    found = lines(load(tmp_path))
    assert ("mail.heping.test.", "A", "10.1.0.25") in found
    assert ("heping.test.", "MX", "10 mail.heping.test.") in found
    for service, value in (
        ("_submissions", "0 1 465 mail.heping.test."),
        ("_submission", "0 1 587 mail.heping.test."),
        ("_imaps", "0 0 0 ."),
        ("_imap", "0 0 0 ."),
        ("_pop3s", "0 0 0 ."),
        ("_autodiscover", "0 1 443 mail.heping.test."),
    ):
        assert (f"{service}._tcp.heping.test.", "SRV", value) in found
    for name in ("autoconfig", "autodiscover"):
        assert (f"{name}.heping.test.", "CNAME", "mail.heping.test.") in found
    assert [value for _, kind, value in found if kind == "A"] == ["10.1.0.25"]


def test_the_records_follow_the_settings(tmp_path: Path) -> None:
    portal = f'{IMAP}url = "https://post.heping.test:8443/"\n'
    found = lines(load(tmp_path, portal), "fd00::1")
    assert ("mail.heping.test.", "AAAA", "fd00::1") in found
    assert ("_imaps._tcp.heping.test.", "SRV", "0 1 993 imap.heping.test.") in found
    assert ("_autodiscover._tcp.heping.test.", "SRV", "0 1 8443 mail.heping.test.") in found
    without = lines(load(tmp_path, ""))
    assert not any("auto" in name for name, _, _ in without)


def test_the_zone_file_has_a_line_for_each_record(tmp_path: Path) -> None:
    found = records.records(load(tmp_path))
    text = records.zone(found)
    assert len(text.splitlines()) == len(found)
    for line in text.splitlines():
        name, ttl, internet, kind, *_ = line.split()
        assert name.endswith(".") and ttl == "3600" and internet == "IN"
        assert kind in ("A", "MX", "SRV", "CNAME")


@pytest.mark.parametrize(
    ("portal", "sentence"),
    [
        ('url = "http://mail.heping.test/"', "must be an address such as https://"),
        ('url = "https://mail.heping.test/<b>"', "must be an address such as https://"),
        ('imap_host = "imap heping"', "must be a lower-case host name"),
    ],
)
def test_a_setting_that_could_not_be_true_is_refused(
    portal: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(tmp_path, f"[portal]\n{portal}\n")


def test_the_portals_address_is_what_people_type(tmp_path: Path) -> None:
    assert load(tmp_path).portal_url == "https://mail.heping.test/"
    assert load(tmp_path, "[portal]\nport = 8443\n").portal_url == "https://mail.heping.test:8443/"
    assert load(tmp_path, "").portal_url == ""
