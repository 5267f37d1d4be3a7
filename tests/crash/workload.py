"""What clients send while all is recorded, and what they were told: the promises to be kept."""

from __future__ import annotations

import random
import smtplib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from functools import cached_property
from hashlib import sha256

from tests import letters
from tests.crash.recording import Event, Kind
from tests.office import Office

_SENDERS = ("office", "finance", "education", "water")


@dataclass(frozen=True)
class Letter:
    """One message that a client submits, perhaps more than once."""

    key: str
    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    notify: str = ""  # the NOTIFY parameter of each recipient
    refused: bool = False  # by its content

    @cached_property
    def message_id(self) -> str:
        return str(BytesHeaderParser().parsebytes(self.octets)["Message-ID"]).strip()

    @cached_property
    def digest(self) -> bytes:
        return sha256(self.octets).digest()

    @property
    def declined(self) -> bool:
        """Whether the sender wants no receipt."""
        return self.notify == "NEVER"


@dataclass(slots=True)
class Told:
    """What became known of a letter, by numbers of records."""

    letter: Letter
    begun: int  # nothing of it can exist before
    replied: int = 0  # the last record before the first final reply went out; 0: none went out
    code: int = 0
    document: str = ""

    def promised(self, moment: int) -> bool:
        """Whether a 250 was on its way by then."""
        return self.code == 250 and 0 < self.replied <= moment


def letters_of_all_kinds(count: int, seed: int) -> list[Letter]:
    """Letters of several sizes and urgencies; some decline receipts, some are refused."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        sender = _SENDERS[number % len(_SENDERS)]
        others = [one for one in (*_SENDERS, "transport", "health") if one != sender]
        to = tuple(chance.sample(others, chance.choice((1, 2, 2, 4))))
        urgent = "【特急】" if number % 3 == 0 else ""
        marked = number % 9 == 5
        title = (
            "机密★1年 关于检查的函"
            if marked
            else f"{urgent}和政发〔2026〕{seed}{number}号 关于防汛的通知"
        )
        octets = letters.plain(sender, " ".join(to), title, f"第{number}号，种子{seed}。\n" * 3)
        size = {4: 300_000, 7: 1_300_000}.get(number % 10, 0)
        if size:
            octets = letters.with_attachment(octets, "水文.bin", chance.randbytes(size))
        notify = "NEVER" if number % 7 == 3 else ""
        made.append(Letter(f"{seed}-{number}", sender, to, octets, notify, marked))
    return made


class Clients:
    """Several mail clients at once, each of which sends its letters one after another.

    `mark` gets a word before each DATA and after each reply.
    """

    def __init__(self, office: Office, mark: Callable[[str], None] = lambda _word: None) -> None:
        self._office = office
        self._mark = mark
        self._lock = threading.Lock()
        self.replies: dict[str, list[tuple[int, str]]] = {}

    def send(self, some: Sequence[Letter], *, clients: int = 3) -> None:
        """Send all; a letter that got no reply has none in `replies`."""
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda n: self._run(some[n::clients]), range(clients)))

    def _run(self, mine: Sequence[Letter]) -> None:
        for letter in mine:
            try:
                with self._office.client(letter.sender) as client:
                    self._offer(client, letter)
            except (OSError, smtplib.SMTPException):
                continue

    def _offer(self, client: smtplib.SMTP, letter: Letter) -> None:
        assert client.sock is not None
        port = client.sock.getsockname()[1]
        self._mark(f"begin {letter.key}")
        rcpt = [f"NOTIFY={letter.notify}"] if letter.notify else []
        code, text = self._office.offer(
            client, letter.sender, letter.octets, *letter.recipients, rcpt=rcpt
        )
        self._mark(f"reply {port} {letter.key} {code} {text.split()[1] if code == 250 else '-'}")
        with self._lock:
            self.replies.setdefault(letter.key, []).append((code, text))


@dataclass(slots=True)
class Story:
    """A recorded run: its events, and what was told to whom by when."""

    events: list[Event]
    told: dict[str, Told] = field(default_factory=dict)

    @classmethod
    def of(cls, events: list[Event], some: Sequence[Letter]) -> Story:
        """Put the words of the clients and the recorded sends together."""
        by_key = {letter.key: letter for letter in some}
        story, sent = cls(events), dict[int, int]()
        for event in events:
            if event.kind is Kind.SEND:
                sent[event.offset] = event.number
            elif event.kind is Kind.MARK:
                story._take(event, sent, by_key)
        return story

    def _take(self, event: Event, sent: dict[int, int], by_key: dict[str, Letter]) -> None:
        word, *rest = event.path.split()
        if word == "begin":
            self.told.setdefault(rest[0], Told(by_key[rest[0]], event.number))
        elif word == "reply":
            port, key, code, document = rest
            one = self.told[key]
            if not one.replied:
                one.replied, one.code, one.document = sent[int(port)], int(code), document
            elif document != "-":
                assert document == one.document, "a resend got another id"

    def begun(self, moment: int) -> Iterator[Told]:
        """What was being sent, or had been sent, by then."""
        return (one for one in self.told.values() if one.begun <= moment)

    @property
    def last(self) -> int:
        return self.events[-1].number
