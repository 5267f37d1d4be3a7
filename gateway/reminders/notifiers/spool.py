"""The carrier `spool`: files for SMS Server Tools (smsd 3.1.16 or newer), each message once.

The file contract (its `fileformat.html`, `run.html`): a complete file appears in `outgoing/` by
rename; names that begin with a dot are not looked at; smsd moves the file under its name, always
forward, through `checked/` (or the queue of a provider) to `sent/` or `failed/`, and creates it in
the next folder before it removes it from the last.

The file name is the reminder's id. Before writing, every folder is searched in the order in which
files move, so a file that moves during the search is still found; then temporary name, fsync,
rename, fsync of the folder. So whatever crashes, and whenever: either no folder has the id and the
message is written, or one has it and it is never written again. This needs `keep_filename = yes`
(smsd's default) and no `filename_preview`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.domain.ids import is_id
from gateway.errors import ConfigurationError
from gateway.reminders.notifier import CannotHandOver, Fate, HandedOver, NeverDeliverable, Report
from gateway.reminders.reminder import Reminder
from gateway.together import Together
from mailboxes.durable import sync_folder

FOLDERS = ("outgoing", "checked", "sent", "failed")
STUCK_SECONDS = 600.0
_MODE = 0o660  # smsd runs as another user of the folder's group, and rewrites the file
_NOT_QUEUES = {"incoming", "report", "saved", "phonecalls", "lost+found", *FOLDERS}
_LONGEST_HEADERS = 4096


def prepare(directory: Path) -> None:
    """Make the folders of a new spool (demo, `yizhan init`); those that exist stay as they are."""
    for name in FOLDERS:
        (directory / name).mkdir(mode=0o770, parents=True, exist_ok=True)


T = TypeVar("T")

_Question = tuple[Reminder, float]  # and until when, by `time.monotonic`, it may appear

_FAILED = "the disk of the SMS spool has failed; check it, then restart the post office"
_SLOW = "the SMS spool was too slow"


class SpoolNotifier:
    """Hands reminders over as files.

    All disk work is done in threads of its own: where the spool hangs, nothing else does.
    """

    name = "spool"
    patience = 5.0
    reports_back = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._outgoing = directory / "outgoing"
        self._together = Together(self._send_all)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="sms-spool")
        self._probing = threading.Lock()
        self._failed = False  # an fsync has failed: what it was about may be gone any time

    async def start(self) -> None:
        await self._run(self._check)

    async def send(self, reminder: Reminder) -> HandedOver:
        return await self._together.ask((reminder, time.monotonic() + self.patience))

    async def find(self, reminder_id: str) -> HandedOver | None:
        return await self._run(partial(self._find, reminder_id))

    async def reports(self, waiting: Sequence[str]) -> Sequence[Report]:
        return await self._run(lambda: self._reports(waiting))

    async def health(self) -> str:
        return await self._run(self._trouble)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _check(self) -> None:
        for name in FOLDERS:
            folder = self._directory / name
            if not folder.is_dir():
                raise ConfigurationError(
                    f"reminders.spool: {folder} is missing; SMS Server Tools must be configured "
                    "with outgoing, checked, sent and failed folders there"
                )
            if not os.access(folder, os.X_OK):
                raise ConfigurationError(
                    f"reminders.spool: {folder} cannot be searched; add the daemon's user to the "
                    "group of SMS Server Tools"
                )
        if not os.access(self._outgoing, os.W_OK):
            raise ConfigurationError(
                f"reminders.spool: {self._outgoing} cannot be written; add the daemon's user to "
                "the group of SMS Server Tools"
            )

    async def _send_all(self, asked: Sequence[_Question]) -> list[HandedOver | Exception]:
        return await self._run(partial(self._write_all, asked))

    def _write_all(self, asked: Sequence[_Question]) -> list[HandedOver | Exception]:
        """Each that is not there yet; one turn and one fsync of the folder for all.

        All are written before the first is synced: so they share commits of the disk's journal.
        Nothing appears after its deadline, when the worker may have said that it never will.
        """
        try:
            with self._turn():
                folders = self._folders()
                begun = [self._begin(one, until, folders) for one, until in asked]
                answers = [self._finish(one) if isinstance(one, _Begun) else one for one in begun]
                sync_folder(self._outgoing, self._sync)
        except OSError as error:
            return [_cannot_write(error) for _ in asked]
        return answers

    def _begin(
        self, reminder: Reminder, until: float, folders: Sequence[Path]
    ) -> _Begun | HandedOver | Exception:
        if self._failed:
            return CannotHandOver(_FAILED)
        try:
            octets = _encode(reminder)
            if self._place(reminder.id, folders) is not None:
                return HandedOver(reminder.id, repeated=True)
            return _Begun(self._outgoing, reminder.id, octets, until)
        except OSError as error:
            return _cannot_write(error)
        except (NeverDeliverable, ValueError) as error:
            return error

    def _finish(self, begun: _Begun) -> HandedOver | Exception:
        try:
            return begun.finish(self._sync)
        except OSError as error:
            return _cannot_write(error)
        except CannotHandOver as late:
            return late

    def _sync(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError:
            self._failed = True
            raise

    def _find(self, reminder_id: str) -> HandedOver | None:
        if self._failed:
            raise CannotHandOver(_FAILED)
        try:
            with self._turn():
                place = self._place(reminder_id, self._folders())
                if place == self._outgoing:
                    # The crash may have come between the rename and the fsync of the folder.
                    sync_folder(place, self._sync)
        except OSError as error:
            raise CannotHandOver("the SMS spool cannot be read", cause=str(error)) from error
        return None if place is None else HandedOver(reminder_id, repeated=True)

    def _place(self, reminder_id: str, folders: Sequence[Path]) -> Path | None:
        """The folder that has the file; searched in the order in which smsd moves files."""
        if not is_id(reminder_id):
            raise ValueError("not the id of a reminder")
        for folder in folders:
            if _has(folder, reminder_id):
                return folder
        return None

    def _folders(self) -> list[Path]:
        with os.scandir(self._directory) as entries:
            queues = [
                Path(entry.path)
                for entry in entries
                if entry.is_dir() and entry.name not in _NOT_QUEUES and entry.name[0] != "."
            ]
        spool = self._directory
        return [self._outgoing, spool / "checked", *queues, spool / "sent", spool / "failed"]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One search-and-write at a time on this machine.

        A send that the worker gave up on may still run in its thread; without this, a second one
        could search before the first renames, and write after smsd has moved the first away.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._outgoing / ".yizhan.lock", flags, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _reports(self, waiting: Sequence[str]) -> list[Report]:
        try:
            return list(self._found(waiting))
        except OSError as error:
            raise CannotHandOver("the SMS spool cannot be read", cause=str(error)) from error

    def _found(self, waiting: Sequence[str]) -> Iterator[Report]:
        sent, failed = self._directory / "sent", self._directory / "failed"
        for one in waiting:
            if not is_id(one):
                continue
            if _has(sent, one):
                yield Report(one, Fate.SENT)
                continue
            if not _has(failed, one) or _has(failed, f"{one}.LOCK"):
                continue  # it is on its way, or smsd is still copying it there
            with contextlib.suppress(FileNotFoundError, PermissionError):
                headers = _headers(failed / one)
                yield Report(one, Fate.FAILED, headers.get("Fail_reason", ""))

    def _trouble(self) -> str:
        if self._failed:
            return _FAILED
        if not self._probing.acquire(blocking=False):  # else threads would pile up behind it
            return "the SMS spool does not answer"
        try:
            self._check()
            oldest = min(self._times(), default=math.inf)
        except ConfigurationError as error:
            return str(error)
        except OSError as error:
            return f"the SMS spool cannot be read: {error.strerror}"
        finally:
            self._probing.release()
        if time.time() - oldest > STUCK_SECONDS:
            return (
                "SMS Server Tools has taken nothing from outgoing for 10 minutes; is smsd running?"
            )
        return ""

    def _times(self) -> Iterator[float]:
        """When the messages that wait were written."""
        with os.scandir(self._outgoing) as entries:
            for entry in entries:
                if is_id(entry.name):
                    with contextlib.suppress(FileNotFoundError):  # smsd has just taken it
                        yield entry.stat().st_mtime


class _Begun:
    """A message that is written, but neither synced nor under its name."""

    def __init__(self, outgoing: Path, reminder_id: str, octets: bytes, until: float) -> None:
        """`until` by `time.monotonic` it may get its name. Raises OSError."""
        self._until = until
        self._target = outgoing / reminder_id
        self._temporary = outgoing / f".{reminder_id}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = open(os.open(self._temporary, flags, _MODE), "wb")  # noqa: PTH123, SIM115
        try:
            descriptor = self._file.fileno()
            os.fchmod(descriptor, _MODE)  # the daemon's umask would shut smsd out
            self._file.write(octets)
            self._file.flush()
            # The kernel begins to write now, and `finish` needs to wait for all at once only.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except BaseException:
            self._abandon()
            raise

    def finish(self, sync: Callable[[int], None]) -> HandedOver:
        """Sync it, and let smsd see it. Raises OSError, CannotHandOver when it is too late."""
        try:
            with self._file as file:
                sync(file.fileno())
            if time.monotonic() > self._until:
                raise CannotHandOver(_SLOW)
            self._temporary.rename(self._target)
        except BaseException:
            self._abandon()
            raise
        return HandedOver(self._target.name)

    def _abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _has(folder: Path, name: str) -> bool:
    # A thousand reminders are looked for in five folders each, and a Path for each costs thrice.
    # What cannot be looked at is an error, not absent: it would be written again.
    try:
        os.stat(f"{folder}/{name}")  # noqa: PTH116
    except FileNotFoundError:
        return False
    return True


def _cannot_write(error: OSError) -> CannotHandOver:
    return CannotHandOver("the SMS spool cannot be written", cause=str(error))


def _encode(reminder: Reminder) -> bytes:
    """The message file: headers, an empty line, the text.

    Chinese is written as `Alphabet: UCS2` (UTF-16, big endian), which smsd passes on as it is; from
    UTF-8 it would note every character that GSM 7 bit lacks, with the character, in its log.
    """
    if not reminder.number.isascii() or not reminder.number.isdigit():
        raise NeverDeliverable("the number is not a telephone number")
    # smsd takes a short number only with this letter before it.
    to = f"s{reminder.number}" if len(reminder.number) <= 6 else reminder.number
    alphabet, codec = ("UTF-8", "ascii") if reminder.text.isascii() else ("UCS2", "utf-16-be")
    headers = f"To: {to}\nAlphabet: {alphabet}\nAutosplit: 3\n\n"
    return headers.encode("ascii") + reminder.text.encode(codec)


def _headers(path: Path) -> dict[str, str]:
    """The headers of a file that smsd has moved, each one printable line of at most 200 letters."""
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADERS).replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    found: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(":")
        shown = "".join(letter for letter in value.strip() if letter.isprintable())
        found.setdefault(name, shown[:200])
    return found
