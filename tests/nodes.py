"""Two real daemons on one PostgreSQL, clients at both, and what must be true when one has died."""

from __future__ import annotations

import random
import re
import shutil
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.promises import broken
from tests.crash.workload import Letter, Told
from tests.office import Office, free_ports, renumbered


def second_node(first: Office, folder: Path) -> Office:
    """Another node of the same office, made as the manual says: its own state directory with a
    copy of the keys, the same database, blobs and SMS spool.
    """
    state = first.folder / "state"
    folder.mkdir()
    for path in first.folder.iterdir():
        if path.is_file() and path.name != "daemon.log":
            shutil.copy2(path, folder)
    shutil.copytree(
        state, folder / "state", ignore=shutil.ignore_patterns("blobs", "S.*", "*.lock")
    )
    text = first.config.read_text(encoding="utf-8")
    ports = free_ports(len(first.ports))
    text = renumbered(text, first.ports, ports)
    text = text.replace('spool = "sms"', f'spool = "{first.folder / "sms"}"')
    text = re.sub(r"^\[blobs\]\n", f'[blobs]\ndirectory = "{state / "blobs"}"\n', text, flags=re.M)
    if "[blobs]" not in text:
        text += f'\n[blobs]\ndirectory = "{state / "blobs"}"\n'
    (folder / "yizhan.toml").write_text(text, encoding="utf-8")
    return Office(folder, *ports)


@dataclass
class Load:
    """Clients that send to whichever node answers, and try again until they have a reply."""

    nodes: Sequence[Office]
    told: dict[str, Told] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)  # a resend that got another id
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, some: Sequence[Letter], *, clients: int) -> None:
        """Send all of them; returns when each has its reply."""
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda n: self._run(n, some[n::clients]), range(clients)))

    def _run(self, number: int, mine: Sequence[Letter]) -> None:
        chance = random.Random(number)
        for letter in mine:
            deadline = time.monotonic() + 90
            while not self._offer(chance.choice(self.nodes), letter):
                assert time.monotonic() < deadline, f"no node takes {letter.key}"
                time.sleep(0.2)
            if chance.random() < 0.2:  # a client that did not hear the 250, at the other node
                self._offer(chance.choice(self.nodes), letter)

    def _offer(self, node: Office, letter: Letter) -> bool:
        rcpt = [f"NOTIFY={letter.notify}"] if letter.notify else []
        try:
            with node.client(letter.sender) as client:
                code, text = node.offer(
                    client, letter.sender, letter.octets, *letter.recipients, rcpt=rcpt
                )
        except (OSError, smtplib.SMTPException, AssertionError):
            return False  # the node has just died, or its database has
        if 400 <= code < 500:
            return False
        document = text.split()[1] if code == 250 else ""
        with self._lock:
            known = self.told.setdefault(letter.key, Told(letter, 1, 1, code, document))
            if (known.code, known.document) != (code, document):
                self.twice.append(
                    f"{letter.key}: {known.code} {known.document}, then {code} {document}"
                )
        return True


def settled(node: Office, seconds: float = 60) -> None:
    """Wait until no work waits on any node that is due, or will be at once: a receipt that came up
    before its records were sealed is put back for a fifth of a second."""
    deadline = time.monotonic() + seconds
    waiting = (
        "SELECT kind FROM outbox WHERE due_at < ? "
        "UNION ALL SELECT 'seal' FROM log_entries WHERE number IS NULL "
        "UNION ALL SELECT state FROM reminders WHERE due_at < ? AND "
        "state IN ('queued', 'handing-over', 'stopping')"
    )
    while found := node.sql(waiting, *[round(time.time() * 1000) + 1000] * 2):
        assert time.monotonic() < deadline, Counter(found)
        time.sleep(0.2)


def faults(node: Office, load: Load) -> list[str]:
    """Everything that was promised and is not so, or is there twice."""
    found = [*load.twice, *broken(node.config, load.told.values(), 1, finished=True)]
    doubles = {
        "evidence twice": "SELECT document_id FROM evidence_records WHERE event NOT LIKE "
        "'%Notification%' GROUP BY document_id, event, recipient HAVING count(*) > 1",
        "a reminder recorded twice": "SELECT e.document_id FROM evidence_records e WHERE "
        "event = 'ConsignmentNotification' GROUP BY e.document_id, e.recipient HAVING count(*) > "
        "(SELECT count(*) FROM reminders r JOIN deliveries d ON d.id = r.delivery_id WHERE "
        "r.document_id = e.document_id AND d.address = e.recipient "
        "AND r.state IN ('handed-over', 'sent'))",
        "a number of the log twice or left out": "SELECT 'x' FROM log_entries "
        "HAVING count(*) <> max(number) + 1 OR count(DISTINCT number) <> count(*)",
    }
    for what, query in doubles.items():
        found += [f"{one}: {what}" for one in node.sql(query)]
    files = Counter(path.name for path in node.messages_to_phones())
    known = set(node.sql("SELECT id FROM reminders WHERE state IN ('handed-over', 'sent')"))
    if set(files) != known:
        found.append(f"reminders that are handed over and files differ: {set(files) ^ known}")
    return found
