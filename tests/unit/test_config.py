"""The configuration file: whatever is wrong with it is one sentence with file and key."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from gateway import config_file
from gateway.errors import ConfigurationError

GOOD = """\
[office]
domain = "heping.test"
name = "和平区政府电子邮局"

[state]
directory = "state"

[[submission.listeners]]
port = 2587

[tls]
certificate = "tls.crt"
key = "/etc/keys/tls.key"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "yizhan.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def faults(file: Path, text: str) -> list[str]:
    """The sentences about a file with this text."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        config_file.load(file)
    assert caught.value.exit_status == 78
    return caught.value.public.splitlines()


def test_the_smallest_file_is_enough(file: Path) -> None:
    settings = config_file.load(file)
    assert settings.office.host == "mail.heping.test"
    assert settings.submission.limits.size == 35 * 1024 * 1024
    assert settings.receipts.style == "brief"


def test_paths_are_taken_from_the_files_own_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD + '[reminders]\nnotifier = "spool"\nspool = "../sms"\n', encoding="utf-8")
    monkeypatch.chdir("/")
    settings = config_file.load(file)
    assert settings.state.directory == file.parent / "state"
    assert settings.state.database_url == f"sqlite:///{file.parent / 'state' / 'yizhan.db'}"
    assert settings.tls.certificate == file.parent / "tls.crt"
    assert settings.tls.key == Path("/etc/keys/tls.key")
    assert settings.reminders.spool == file.parent / "../sms"
    assert settings.policy.directory is None


def test_a_relative_file_is_anchored_where_it_lies(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert config_file.load(Path("yizhan.toml")).state.directory == file.parent / "state"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("port = 2587", "port = 2587\nprot = 2587"),
            "submission.listeners.0.prot: there is no such setting",
        ),
        (("port = 2587", ""), "submission.listeners.0.port: this setting is missing"),
        (("port = 2587", 'port = "2587"'), "submission.listeners.0.port: must be a valid integer"),
        (("port = 2587", "port = true"), "submission.listeners.0.port: must be a valid integer"),
        (("port = 2587", "port = 70000"), "submission.listeners.0.port: must be less than or"),
        (("port = 2587", "port = -1"), "submission.listeners.0.port: must be greater than or"),
        (
            ("port = 2587", 'port = 1\naddress = "localhost"'),
            "submission.listeners.0.address: must be an IP address such as 127.0.0.1 or ::1",
        ),
        (
            ("port = 2587", 'port = 1\ntls = "ssl"'),
            "submission.listeners.0.tls: must be 'starttls' or 'implicit'",
        ),
        (
            ("port = 2587", 'port = 1\nnormalize_from = ["10.0.0.0/33"]'),
            "submission.listeners.0.normalize_from.0: must be a network such as 10.0.0.0/8 "
            "(it is '10.0.0.0/33')",
        ),
        (("[[submission.listeners]]\nport = 2587", ""), "submission: this setting is missing"),
        (
            ("[[submission.listeners]]\nport = 2587", "[submission]\nlisteners = []"),
            "submission.listeners: ",
        ),
        (
            ("[[submission.listeners]]\nport = 2587", "[submission.listeners]\nport = 2587"),
            "submission.listeners: must be a valid array",
        ),
        (("heping.test", "Heping.test"), "office.domain: must be a lower-case domain name"),
        (("heping.test", "heping"), "office.domain: must be a lower-case domain name"),
        (("heping.test", "heping .test"), "office.domain: must be a lower-case domain name"),
        (("heping.test", "-a.test"), "office.domain: must be a lower-case domain name"),
        (("[state]", 'hostname = "mail host"\n[state]'), "office.hostname: must be a lower-case"),
        (("[state]", 'language = "de"\n[state]'), "office.language: must be 'zh-CN' or 'en'"),
        (("[state]", "[ofice]\n[state]"), "ofice: there is no such setting"),
        (('directory = "state"', "directory = 5"), "state.directory: must be a valid string"),
        (
            ('directory = "state"', 'directory = "state"\nreaders = 0'),
            "state.readers: must be greater than 0 (it is 0)",
        ),
        (
            ('directory = "state"', 'directory = "state"\ndatabase = "sqlite:///yizhan.db"'),
            "state.database: must be empty, an SQLite URL with an absolute path",
        ),
        (("[tls]", "[submission.limits]\nsize = 1.5\n[tls]"), "submission.limits.size: must be"),
        (("[tls]", "[policy]\nclamd_seconds = inf\n[tls]"), "policy.clamd_seconds: must be"),
        (
            ("[tls]", "[receipts.deadline_minutes]\nextrem = 5\n[tls]"),
            "receipts.deadline_minutes: 'extrem' is no urgency, only extra, urgent, normal",
        ),
        (
            ("[tls]", "[receipts.deadline_minutes]\nextra = 0\n[tls]"),
            "receipts.deadline_minutes: the minutes for extra must be more than 0",
        ),
        (
            ("[tls]", '[receipts.deadline_minutes]\nextra = "5"\n[tls]'),
            "receipts.deadline_minutes.extra: must be a valid number",
        ),
        (('key = "/etc/keys/tls.key"', "key = 2026-11-21"), "tls.key: must be a valid string"),
    ],
)
def test_each_kind_of_fault_is_one_sentence_with_file_and_key(
    change: tuple[str, str], sentence: str, file: Path
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    [fault] = faults(file, text)
    assert fault.startswith(f"{file}: {sentence}")


def test_all_faults_are_said_at_once(file: Path) -> None:
    text = GOOD.replace("port = 2587", 'port = "x"').replace("[tls]", "[console]\nprot = 1\n[tls]")
    found = faults(file, text.replace('name = "和平区政府电子邮局"', ""))
    assert [fault.split(": ")[1] for fault in found] == [
        "office.name", "submission.listeners.0.port", "console.prot",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[office\n", "line 1"),
        ('[office]\ndomain = "a.test"\nname = \n', "line 3"),
        ('[office]\ndomain = "a.test"\ndomain = "b.test"\n', "line 3"),
        ("[office]\n[office]\n", "line 2"),
    ],
)
def test_wrong_syntax_is_told_with_its_line(text: str, line: str, file: Path) -> None:
    [fault] = faults(file, text)
    assert fault.startswith(f"{file}: not valid TOML: ")
    assert line in fault


def test_what_cannot_be_read_is_told_with_its_file(file: Path) -> None:
    missing = file.with_name("missing.toml")
    with pytest.raises(ConfigurationError, match=rf"{missing}: there is no such file; .*init"):
        config_file.load(missing)
    with pytest.raises(ConfigurationError, match=f"{file.parent}: cannot be read"):
        config_file.load(file.parent)
    file.write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(ConfigurationError, match=f"{file}: cannot be read: .*utf-8"):
        config_file.load(file)


def test_networks_are_read_in_both_families(file: Path) -> None:
    networks = 'port = 1\nnormalize_from = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]'
    file.write_text(GOOD.replace("port = 2587", networks), encoding="utf-8")
    [listener] = config_file.load(file).submission.listeners
    assert listener.normalize_from == [
        IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8"), IPv4Network("192.0.2.7/32"),
    ]  # fmt: skip


def test_whole_numbers_are_good_where_seconds_are_wanted(file: Path) -> None:
    file.write_text(GOOD + "[policy]\nclamd_seconds = 10\n", encoding="utf-8")
    assert config_file.load(file).policy.clamd_seconds == 10


def test_the_option_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("YIZHAN_CONFIG", raising=False)
    assert config_file.find(None) == Path("/etc/yizhan/yizhan.toml")
    monkeypatch.setitem(os.environ, "YIZHAN_CONFIG", "/srv/y.toml")
    assert config_file.find(None) == Path("/srv/y.toml")
    assert config_file.find(Path("/a.toml")) == Path("/a.toml")
