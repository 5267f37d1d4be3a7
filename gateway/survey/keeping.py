"""What the office must be able to come back from: backups, checks, keys, a restore in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.config import Config
from gateway.exchange.fullness import NEARLY, TREE, general_limit
from gateway.store.facts import Fact, recall
from gateway.survey.ends import find_ends
from gateway.survey.finding import Finding, advice

_OLD_FSCK = timedelta(days=92)


def check_backups(connection: Connection, config: Config, now: datetime) -> Iterator[Finding]:
    """Whether there is a backup that is young enough."""
    made = recall(connection, Fact.BACKUP)
    hours = config.backup.warn_hours
    if made is None:
        yield advice(
            "no backup was ever made",
            "`yizhan backup DIR`, on another disk, and let yizhan-backup.timer do it every night",
        )
    elif hours and now - made.at > timedelta(hours=hours):
        age = (now - made.at) // timedelta(hours=1)
        folder = made.value.get("directory", "DIR")
        yield Finding(
            f"the last backup is {age} hours old",
            f"`yizhan backup {folder}`; `journalctl --unit yizhan-backup` says why none was made",
        )
    elif made.value.get("without_keys"):
        yield advice(
            "the last backup has no keys in it",
            "name recovery.certificate, or keep a copy of the keys elsewhere",
        )


def check_fsck(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Whether the last check of everything found something that is left."""
    done = recall(connection, Fact.FSCK)
    if done is None:
        yield advice("nothing was ever checked by `yizhan fsck`", "run it once, at night")
        return
    left = int(done.value.get("left", 0))
    if left:
        yield Finding(
            f"the check of {done.at:%Y-%m-%d %H:%M} UTC found faults that are left: {left}",
            "`yizhan fsck` names them, `yizhan fsck --repair` heals what can be derived",
        )
    elif now - done.at > _OLD_FSCK:
        yield advice(f"the last check of everything was on {done.at:%Y-%m-%d}", "`yizhan fsck`")


def check_quota(connection: Connection, config: Config) -> Iterator[Finding]:
    """Whether mailboxes are full, or will be soon."""
    close = TREE.fullest(connection, general_limit(config), NEARLY)
    for one in close:
        full = one.octets >= one.limit
        made = Finding if full else advice
        said = "is full, so that nothing can be filed there" if full else "will be full soon"
        yield made(
            f"the mailbox {one.owner} {said}: {one.octets / 1e6:,.0f} of {one.limit / 1e6:,.0f} MB",
            f"let the unit delete or archive something, or `yizhan mailbox quota {one.owner} SIZE`",
        )


def check_held(connection: Connection) -> Iterator[Finding]:
    """Whether a restore still holds back what goes out."""
    if recall(connection, Fact.HELD) is not None:
        yield Finding(
            "the office was restored, and no receipt, summary or reminder goes out",
            "`yizhan restore release` shows what waits, and lets it go",
        )


def check_ends(connection: Connection, config: Config, now: datetime) -> Iterator[Finding]:
    """What has ended or ends within 30 days."""
    for end in find_ends(connection, config, now):
        remedy = _REMEDY[end.what]
        if end.at <= now and end.what == "certificate":
            yield Finding(end.sentence(now), remedy)
        else:
            yield advice(end.sentence(now), remedy)


_REMEDY = {
    "certificate": "put a new one into its place, then `systemctl reload yizhan`",
    "client-ca": "put a new one into its place, then `systemctl reload yizhan`",
    "office-key": "extend it with gpg in the office's keyring, and publish it again",
    "recovery-key": "make a new one, name it, then `yizhan storage escrow --renew`",
    "seal": "`yizhan seal replace SEAL --out DIR`",
}
