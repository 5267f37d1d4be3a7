"""All that is wrong with an office's set-up, said at once: what `yizhan check` prints."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from gateway.composition import load_key, load_templates
from gateway.config import Config
from gateway.config_file import with_file
from gateway.directory.snapshot import Directory, load
from gateway.domain.address import Address
from gateway.domain.clock import SystemClock
from gateway.errors import ConfigurationError, YizhanError
from gateway.expiry import find_endings
from gateway.founding import RECOVERY_SECRET
from gateway.intake.tls import TlsHolder
from gateway.policy import signing
from gateway.policy.collect import verify_settings
from gateway.policy.engine import Policy
from gateway.reminders import choices
from gateway.reminders.notifiers import make_notifier
from gateway.seals.escrow import find_escrow_faults, require_keys
from gateway.seals.recovery import read_recovery_certificate
from gateway.seals.signer import load_office_signer
from gateway.store import identity, server
from gateway.store.database import Database
from gateway.store.drivers import open_blobs, open_kept


def find_faults(config: Config, path: Path, *, ports: bool = True) -> list[str]:
    """One sentence for each fault; empty if the daemon could start now.

    `ports` False: beside a running daemon, which has taken them.
    """
    probes: list[Callable[[], object]] = [
        lambda: TlsHolder(config.tls, config.submission.client_ca),
        load_templates,
        lambda: Policy.load(config.policy.directory),
        lambda: verify_settings(config.policy),
        lambda: choices.load(config.policy.directory),
        lambda: signing.load(config.policy.directory),
        lambda: asyncio.run(_try_notifier(config)),
        lambda: load_key(config),
        lambda: _verify_store(config),
    ]
    if shutil.which(config.seals.gpg) is not None:
        probes.append(lambda: load_office_signer(config.seals, config.state.directory))
    faults: list[str] = []
    for probe in probes:
        try:
            probe()
        except YizhanError as error:
            faults += with_file(path, error.public)
    faults += find_storage_faults(config, path)
    if shutil.which(config.seals.gpg) is None:
        faults.append(
            f"{path}: seals.gpg: the program {config.seals.gpg} is missing; "
            "install it with: sudo apt-get install gnupg"
        )
    if ports:
        faults += _taken_ports(config, path)
    mode = config.state.directory.stat().st_mode
    if mode & 0o077:
        faults.append(
            f"{config.state.directory}: others can look into the state directory; chmod it to 0700"
        )
    if not os.access(config.state.directory, os.W_OK):
        faults.append(f"{config.state.directory}: cannot be written")
    return faults


def find_advice(config: Config) -> list[str]:
    """What does not stop the daemon, but will be missed: an end to come, a machine that is lost."""
    advice = []
    with suppress(YizhanError):  # a certificate that cannot be read is a fault already
        advice += find_endings(config, SystemClock().now())
    if config.mailboxes is None:
        advice.append(
            "mailboxes: there is no door to the mailboxes, so nobody reads by IMAP or POP3; add "
            "[[mailboxes.listeners]]"
        )
    certificate = config.recovery.certificate
    if certificate is None:
        if config.blobs.encrypt_at_rest:
            advice.append(
                "recovery.certificate: no recovery key is named; if this machine is lost, only a "
                "copy of the storage key file opens the documents"
            )
        return advice
    secret = certificate.parent / RECOVERY_SECRET
    if secret.exists():
        advice.append(
            f"{secret}: the secret half of the recovery key still lies here; move it to the safe"
        )
    return advice


def find_storage_faults(config: Config, path: Path) -> list[str]:
    """What is wrong with the blobs' store, its keys and their escrow, one sentence each."""
    faults: list[str] = []
    try:
        read_recovery_certificate(config)
    except YizhanError as error:
        faults += with_file(path, error.public)
    try:
        blobs = open_blobs(config)
        open_kept(config).read_identity()
        trouble = blobs.trouble()
        if trouble:
            faults.append(f"{path}: blobs: {trouble}")
        require_keys(config, blobs.ring)
    except YizhanError as error:
        return faults + with_file(path, error.public)
    if config.blobs.encrypt_at_rest and shutil.which(config.seals.gpg) is not None:
        try:
            faults += find_escrow_faults(config, blobs.ring)
        except YizhanError as error:
            faults += with_file(path, error.public)
    return faults


async def _try_notifier(config: Config) -> None:
    notifier = make_notifier(config.reminders)
    await notifier.start()
    await notifier.close()


def _verify_store(config: Config) -> None:
    """The database, and what the configuration and the people in it must agree on."""
    database = Database(config.state.database_url, readers=1)
    try:
        server.require_usable(database.engine)
        identity.verify(database, config.state.directory)
        directory = database.read_now(lambda c: load(c, config.office.domain))
    finally:
        database.stop()
    faults = find_missing_people(config, directory)
    if faults:
        raise ConfigurationError("\n".join(faults))


def find_missing_people(config: Config, directory: Directory) -> list[str]:
    """One sentence for each person that the office cannot do without, and for dead certificates."""
    faults = []
    postmaster = Address("postmaster", config.office.domain)
    if directory.resolve(postmaster) is None:
        faults.append(
            f"no active account has the role operator, so {postmaster} reaches nobody; give it "
            "to one: yizhan account change LOGIN --unit UNIT:operator"
        )
    officer = config.office.security_officer
    account = directory.account(officer) if officer else None
    if officer and (account is None or not account.active):
        faults.append(
            f"office.security_officer: there is no active account {officer!r}; classification "
            "markings are told to the operators instead"
        )
    if config.submission.client_ca is None:
        faults += [
            f"submission.client_ca: account {account.login!r} lists certificate {name[:16]}… by "
            "its fingerprint alone, which needs its CA here; or give its file to "
            f"yizhan account change {account.login} --certificate"
            for account in directory.accounts()
            for name in sorted(account.certificates)
            if account.active and directory.certificate(name) is None
        ]
    return faults


def _taken_ports(config: Config, path: Path) -> list[str]:
    wanted = [
        (f"submission.listeners.{n}.port", listener.address, listener.port)
        for n, listener in enumerate(config.submission.listeners)
    ]
    wanted += [
        (f"mailboxes.listeners.{n}.port", listener.address, listener.port)
        for n, listener in enumerate(config.mailbox_listeners)
    ]
    wanted.append(("console.port", config.console.address, config.console.port))
    if config.portal is not None:
        wanted.append(("portal.port", config.portal.address, config.portal.port))
    faults = []
    with ExitStack() as taken:  # all at once, or two doors on one port would go unnoticed
        for key, address, port in wanted:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                taken.enter_context(socket.create_server((address, port), family=family))
            except PermissionError:
                continue  # below 1024: systemd opens it for the daemon, a command may not
            except OSError as error:
                faults.append(
                    f"{path}: {key}: cannot listen on {address} port {port}: "
                    f"{os.strerror(error.errno or 0)} (if the post office is running, that is why)"
                )
    return faults
