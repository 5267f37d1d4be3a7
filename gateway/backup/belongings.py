"""What an office needs beside its database and documents: settings, certificates and keys.

Two parcels. `settings` is what is no secret: certificates, the office's own rules, and the
configuration file unless a password stands in it. `keys` is everything that must not lie about, as
one OpenPGP message to the recovery key: the office key as gpg exports it, the seals that the office
keeps, the evidence key, the storage key, the TLS key, passphrases.

Each file is named by its role: `config`, `setting:tls.key`, `setting:policy.directory/10-a.toml`,
`state:identity`, `gnupg:office/secret`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Config
from gateway.config_types import Section
from gateway.errors import CommandError, ConfigurationError, YizhanError
from gateway.evidence import keys as evidence_keys
from gateway.seals.keyring import Keyring
from gateway.seals.signer import (
    OFFICE_HOME,
    OfficeSigner,
    office_fingerprint,
    open_office_keyring,
    read_passphrase,
)
from gateway.seals.workshop import KEPT_HOME
from gateway.store import identity

# Settings that name a place, not a file that must come along.
_PLACES = {"state.directory", "blobs.directory", "reminders.spool"}
_OPEN = {
    "tls.certificate", "tls.ca", "submission.client_ca", "recovery.certificate",
    "blobs.s3.certificate", "policy.directory",
}  # fmt: skip
_PRIVATE_KEYS = "private-keys-v1.d"
_REVOCATIONS = "openpgp-revocs.d"
_LARGEST = 16 << 20  # octets of one such file; more is none of ours
_PASSWORD = re.compile(r"""database\s*=\s*["'][^"']*://[^/"'@]*:[^/"'@]*@""")


@dataclass(slots=True)
class Belongings:
    """Files by role. `without` says in sentences what could not be taken along."""

    settings: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)


def render(files: dict[str, bytes]) -> bytes:
    """Files as one parcel."""
    value = {role: base64.b64encode(octets).decode() for role, octets in sorted(files.items())}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def read(octets: bytes) -> dict[str, bytes]:
    """The files of a parcel. Raises CommandError if it is none."""
    try:
        return {str(role): base64.b64decode(text) for role, text in json.loads(octets).items()}
    except (ValueError, AttributeError, TypeError):
        raise CommandError("the backup's settings or keys have a form that is not ours") from None


def paths(section: Section, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Every setting that names a file or folder, with its path."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from paths(value, f"{prefix}{name}.")
        elif isinstance(value, Path):
            yield f"{prefix}{name}", value


def collect(config: Config, path: Path, *, keys: bool = True) -> Belongings:
    """Read everything of a running office. Raises CommandError for what cannot be read."""
    found = Belongings()
    text = _read(path)
    if _PASSWORD.search(text.decode("utf-8", "replace")):
        found.keys["config"] = text
    else:
        found.settings["config"] = text
    for setting, place in paths(config):
        if setting == "tls.ca_key" and not place.exists():
            found.without.append(f"the office CA's key is not in it, {place} is kept elsewhere")
        elif setting not in _PLACES:
            target = found.settings if setting in _OPEN else found.keys
            _take(target, f"setting:{setting}", place)
    _take_state(found, config)
    if keys:
        _take_keyrings(found, config)
    else:
        left = ", ".join(sorted(role.partition(":")[2] or role for role in found.keys))
        found.without.append(
            f"no key is in it (--without-keys): {left}, the office key, kept seals"
        )
        found.keys.clear()
    return found


def stamp(config: Config, path: Path) -> tuple[object, ...]:
    """Changes when any of it has changed: whoever makes a backup each second asks this first."""
    state = config.state.directory
    places = [path, state, state / OFFICE_HOME, state / OFFICE_HOME / _PRIVATE_KEYS]
    places += [state / KEPT_HOME / _PRIVATE_KEYS]
    places += [place for setting, place in paths(config) if setting not in _PLACES]
    found: list[object] = []
    for place in places:
        inner = sorted(place.rglob("*")) if place == config.policy.directory else []
        for one in (place, *inner):
            try:
                fact = one.stat()
            except OSError:
                found.append((str(one), None))
            else:
                # The folder of the state changes with every file of SQLite: only its keys count.
                found.append((str(one), None if one == state else (fact.st_mtime_ns, fact.st_size)))
    return tuple(found)


def _take(target: dict[str, bytes], role: str, place: Path) -> None:
    if place.is_dir():
        for file in sorted(place.rglob("*")):
            if file.is_file():
                target[f"{role}/{file.relative_to(place)}"] = _read(file)
    else:
        target[role] = _read(place)


def _take_state(found: Belongings, config: Config) -> None:
    """The files that lie in the state directory itself: identity, evidence key, storage key."""
    state = config.state.directory
    named = {place.resolve() for _, place in paths(config)}
    for file in sorted(state.iterdir()):
        ours = file.is_file() and not file.is_symlink()
        if not ours or file.name.startswith((".", "yizhan.db")) or file.resolve() in named:
            continue
        if str(file) in config.state.database_url or file.suffix in (".tmp", ".log", ".lock"):
            continue
        if file.name == identity.FILE:
            found.settings[f"state:{file.name}"] = _read(file)
        elif file.stat().st_size <= _LARGEST:
            found.keys[f"state:{file.name}"] = _read(file)


def _take_keyrings(found: Belongings, config: Config) -> None:
    state, kept = config.state.directory, config.state.directory / KEPT_HOME
    with open_office_keyring(config.seals, state) as keyring:
        fingerprint = office_fingerprint(keyring)
        found.keys["gnupg:office/public"] = keyring.certificate(fingerprint)
        try:
            passphrase = read_passphrase(config.seals)
            secret = keyring.secret(fingerprint, passphrase=passphrase)
            if OfficeSigner(secret, passphrase).fingerprint != fingerprint:
                raise CommandError("gpg exported another key")
        except YizhanError as error:
            found.without.append(
                f"the office key is not in it, gpg could not export it ({error.public}); if it "
                "is on a card, the card is what must be kept"
            )
        else:
            found.keys["gnupg:office/secret"] = secret
    _take_files(found, f"gnupg:office/{_REVOCATIONS}", state / OFFICE_HOME / _REVOCATIONS)
    # gpg could export these only with the passphrase of each seal-keeper; the files themselves are
    # under it, are written once, and are what gpg's agent reads.
    _take_files(found, f"gnupg:kept/{_PRIVATE_KEYS}", kept / _PRIVATE_KEYS)


def _take_files(found: Belongings, role: str, folder: Path) -> None:
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.is_file() and not file.name.startswith("."):
            found.keys[f"{role}/{file.name}"] = _read(file)


def put_state(files: dict[str, bytes], state: Path) -> None:
    """Put back what lay in the state directory, except the identity, which comes last."""
    for role, octets in files.items():
        kind, _, name = role.partition(":")
        if kind == "state" and name != identity.FILE:
            put_file(state / _safe(name), octets)


def put_settings(files: dict[str, bytes], config: Config) -> tuple[list[Path], list[str]]:
    """Put back the files that settings name, where there are none.

    Returns what was written, and in words what was not.
    """
    written, problems = [], []
    places = dict(paths(config))
    for role, octets in files.items():
        kind, _, name = role.partition(":")
        if kind != "setting":
            continue
        setting, _, inner = name.partition("/")
        if setting not in places:
            continue  # the configuration in force has no such setting
        target = places[setting] / _safe(inner) if inner else places[setting]
        if target.exists():
            if target.read_bytes() != octets:
                problems.append(f"{target}: is there already and differs from the backup's; kept")
            continue
        put_file(target, octets, 0o644 if setting in _OPEN else 0o600)
        written.append(target)
    return written, problems


def put_keyrings(files: dict[str, bytes], config: Config, certificates: list[bytes]) -> list[str]:
    """Make the keyrings anew; `certificates` are those of all seals. What is missing, in words."""
    state = config.state.directory
    problems = []
    secret = files.get("gnupg:office/secret")
    with Keyring(state / OFFICE_HOME, gpg=config.seals.gpg) as office:
        if secret is not None:
            office.add(secret, passphrase=read_passphrase(config.seals))
        elif "gnupg:office/public" in files:
            office.add(files["gnupg:office/public"])
        if secret is None:
            problems.append("the office key's secret half was not in the backup: put it back")
    for role, octets in files.items():
        if role.startswith("gnupg:office/" + _REVOCATIONS):
            put_file(state / OFFICE_HOME / _REVOCATIONS / _safe(Path(role).name), octets)
        if role.startswith("gnupg:kept/" + _PRIVATE_KEYS):
            put_file(state / KEPT_HOME / _PRIVATE_KEYS / _safe(Path(role).name), octets)
    public = [*certificates, *filter(None, [files.get("gnupg:office/public")])]
    homes = [Path("gnupg/checking")]
    if (state / KEPT_HOME / _PRIVATE_KEYS).is_dir():
        homes.append(KEPT_HOME)
    for home in homes:
        with Keyring(state / home, gpg=config.seals.gpg) as keyring:
            if public:
                keyring.add(b"".join(public))
    try:
        evidence_keys.load_evidence_key(state)
    except ConfigurationError as error:
        problems.append(error.public)
    return problems


def put_file(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Write a new file durably. Raises FileExistsError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _safe(name: str) -> Path:
    """A name inside the folder that it is for. Raises CommandError for one that leads out."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise CommandError(f"the backup names a file that leads out of its folder: {name!r}")
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read for the backup: {error.strerror}") from None
