"""Blobs as objects in a bucket of an S3-compatible store, `<prefix>/<id>`.

`put` returns when the store has acknowledged. Nothing is overwritten: an object up to `PART` octets
is created under the condition that there is none; a larger one comes in parts, which the store
cannot make conditional, so it is asked first (ids are never given twice: that guards against a
fault of ours, not against a race). Parts of an upload that was cut off are invisible here: let a
lifecycle rule of the bucket remove them.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from gateway.config import S3
from gateway.domain.ids import is_id
from gateway.errors import ConfigurationError, StoreDamaged, StoreError, StoreUnavailable
from gateway.store.blobs import IDENTITY, Check, Kept
from gateway.store.storage_key import kept_by_systemd

if TYPE_CHECKING:
    from obstore import GetResult

PART = 5 << 20  # octets; the least that S3 takes as a part
AHEAD = 131_072  # octets read at once after a jump
FAR_AHEAD = 1 << 20  # and while somebody reads on
_PARALLEL = 1  # parts on their way at once: two were no faster, and took 6 MiB more each
_PROBE = "probe"
_PROBE_SECONDS = 2.5
_UNFINISHED = ".tmp"
_RETRIES = 2


class S3Blobs:
    """The driver `s3`. Its calls block, so they are made in worker threads."""

    def __init__(self, settings: S3) -> None:
        """Nothing is asked of the store yet. Raises ConfigurationError for the settings."""
        self._settings = settings
        self._secrets = _read_key(settings.access_key_file)
        self._store = self._connect(settings.timeout_seconds)
        self._prober = self._connect(min(_PROBE_SECONDS, settings.timeout_seconds))
        self._probing = threading.Lock()

    near = False

    def begin(self, _name: str, _pieces: Iterable[bytes]) -> None:
        """Everything here waits for the network."""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        key = _key(name)
        with self._failing():
            try:
                self._upload(key, pieces, create=True)
            except AlreadyExistsError:
                raise _unavailable(f"{name} is kept already") from None
            except FileNotFoundError as error:  # the bucket
                raise _unavailable(self._sentence(error)) from None

    def open(self, name: str) -> BinaryIO:
        key = _key(name)
        with self._failing():
            return io.BufferedReader(_Object(self._fetch, key))

    def delete(self, name: str) -> None:
        self._remove(_key(name))

    def discard(self, name: str) -> None:
        self._remove(_key(name) + _UNFINISHED)

    def list(self, *, since: str = "") -> Iterator[Kept]:
        with self._failing():
            # The store lists what is greater than the offset, so that is a little less.
            for chunk in obstore.list(self._store, offset=since[:-1] or None):
                for found in chunk:
                    name = found["path"].removesuffix(_UNFINISHED)
                    if is_id(name) and name >= since:
                        written = found["last_modified"].timestamp()
                        yield Kept(name, found["size"], written, name == found["path"])

    def replace(self, name: str, pieces: Iterable[bytes], check: Check) -> None:
        key = _key(name)
        new = key + _UNFINISHED
        with self._failing():
            try:
                obstore.head(self._store, key)
                self._upload(new, pieces, create=False)
                with io.BufferedReader(_Object(self._fetch, new)) as file:
                    check(file)
                obstore.copy(self._store, new, key)  # the store swaps them at once, whole
            finally:
                with suppress(BaseError, OSError):
                    obstore.delete(self._store, new)

    def trouble(self) -> str:
        if not self._probing.acquire(blocking=False):  # else threads would pile up behind it
            return f"no mail can be stored: {self._place} does not answer"
        try:
            obstore.put(self._prober, _PROBE, b"yizhan\n", use_multipart=False)
        except (BaseError, OSError) as error:
            return f"no mail can be stored: {self._sentence(error)}"
        finally:
            self._probing.release()
        return ""

    def read_identity(self) -> str:
        """Whose blobs these are. Raises ConfigurationError: no such bucket, or a wrong key."""
        try:
            return bytes(obstore.get(self._store, IDENTITY).bytes()).decode("ascii").strip()
        except (BaseError, OSError, UnicodeDecodeError) as error:
            if _is_missing(error):
                return ""
            if _is_setting(error):
                raise ConfigurationError(self._sentence(error)) from None
            raise _unavailable(self._sentence(error)) from None

    def write_identity(self, identity: str) -> None:
        with self._failing():
            obstore.put(
                self._store, IDENTITY, identity.encode("ascii") + b"\n", use_multipart=False
            )

    def _connect(self, seconds: float) -> S3Store:
        settings = self._settings
        limit = timedelta(seconds=seconds)
        key_id, secret = self._secrets
        try:
            certificate = settings.certificate.read_bytes() if settings.certificate else None
        except OSError as error:
            raise ConfigurationError(
                f"blobs.s3.certificate: {settings.certificate} cannot be read: {error.strerror}"
            ) from None
        options = {
            "timeout": limit,
            "connect_timeout": min(limit, timedelta(seconds=5)),
            "allow_http": settings.endpoint.startswith("http://"),
        } | ({"root_certificate": certificate} if certificate else {})
        named = {"endpoint": settings.endpoint} if settings.endpoint else {}
        try:
            return S3Store(
                settings.bucket,
                prefix=settings.prefix.strip("/") or None,
                region=settings.region,
                access_key_id=key_id,
                secret_access_key=secret,
                # The bucket in the path: a store of one's own has no names for buckets.
                virtual_hosted_style_request=not settings.endpoint,
                client_options=options,  # type: ignore[arg-type]
                retry_config={"max_retries": _RETRIES, "retry_timeout": limit},
                **named,  # type: ignore[arg-type]
            )
        except (BaseError, ValueError) as error:
            raise ConfigurationError(f"blobs.s3: {self._plain(error)}") from None

    def _upload(self, key: str, pieces: Iterable[bytes], *, create: bool) -> None:
        rest = iter(pieces)
        begun = bytearray()
        for piece in rest:
            begun += piece
            if len(begun) > PART:
                break
        else:
            mode = "create" if create else "overwrite"
            obstore.put(self._store, key, bytes(begun), mode=mode, use_multipart=False)  # type: ignore[arg-type]
            return
        if create:
            with suppress(FileNotFoundError):
                obstore.head(self._store, key)
                raise AlreadyExistsError(key)
        head = [bytes(begun)]
        del begun
        obstore.put(
            self._store, key, chain(_popped(head), rest),
            use_multipart=True, chunk_size=PART, max_concurrency=_PARALLEL,
        )  # fmt: skip

    def _fetch(self, key: str, start: int, end: int, tag: str | None) -> GetResult:
        """Octets start..end of an object that must still be the one with that tag."""
        options = {"range": (start, end)} | ({"if_match": tag} if tag else {})
        with self._failing():
            try:
                return obstore.get(self._store, key, options=options)  # type: ignore[arg-type]
            except BaseError as error:
                if start == 0 and " 416 " in str(error):  # it is empty
                    return obstore.get(self._store, key)
                raise

    def _remove(self, key: str) -> None:
        with self._failing(), suppress(FileNotFoundError):
            obstore.delete(self._store, key)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What the library raises becomes what the Protocol names."""
        try:
            yield
        except StoreError:
            raise
        except (BaseError, OSError) as error:
            if _is_missing(error):
                raise FileNotFoundError("there is no such object") from None
            raise _unavailable(self._sentence(error)) from None

    def _sentence(self, error: Exception) -> str:
        """What is wrong, for the operator; without the keys."""
        if "NoSuchBucket" in str(error):
            return f"blobs.s3.bucket: there is no bucket {self._settings.bucket} at {self._place}"
        if _is_setting(error):
            return f"blobs.s3.access_key_file: {self._place} refuses this key"
        return f"{self._place} fails: {self._plain(error)}"

    def _plain(self, error: Exception) -> str:
        first = str(error).partition("\n")[0][:300]
        for secret in self._secrets:
            first = first.replace(secret, "...")
        return first

    @property
    def _place(self) -> str:
        return self._settings.endpoint or "the store"


class _Object(io.RawIOBase):
    """One object, read by ranges; what is near is read ahead."""

    def __init__(self, fetch: Callable[[str, int, int, str | None], GetResult], key: str) -> None:
        super().__init__()
        self._fetch = fetch
        self._key = key
        self._position = 0
        self._start = 0
        first = fetch(key, 0, AHEAD, None)
        self._tag = first.meta["e_tag"]
        self._size = first.meta["size"]
        self._octets = memoryview(bytes(first.bytes()))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError("a position before the start")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        end = self._start + len(self._octets)
        if not self._start <= self._position < end:
            ahead = FAR_AHEAD if self._position == end else AHEAD
            stop = min(self._position + max(ahead, len(buffer)), self._size)
            got = self._fetch(self._key, self._position, stop, self._tag).bytes()
            self._start, self._octets = self._position, memoryview(bytes(got))
            if not self._octets:
                raise StoreDamaged("a stored document is damaged", cause=f"{self._key}: it is cut")
        offset = self._position - self._start
        piece = self._octets[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def _popped(pieces: list[bytes]) -> Iterator[bytes]:
    while pieces:
        yield pieces.pop(0)


def _key(name: str) -> str:
    if not is_id(name):
        raise ValueError(f"not a blob name: {name!r}")
    return name


def _is_missing(error: Exception) -> bool:
    """Whether the object is not there, and not the whole bucket."""
    return isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)


def _is_setting(error: Exception) -> bool:
    return "NoSuchBucket" in str(error) or isinstance(
        error, PermissionDeniedError | UnauthenticatedError
    )


def _unavailable(cause: str) -> StoreUnavailable:
    return StoreUnavailable("the store cannot take mail now", cause=cause)


def _read_key(file: Path) -> tuple[str, str]:
    """Key id and secret. Raises ConfigurationError."""
    setting = f"blobs.s3.access_key_file: {file}"
    try:
        if file.stat().st_mode & 0o077 and not kept_by_systemd(file):
            raise ConfigurationError(f"{setting} can be read by others: `chmod 600` it")
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting} cannot be read: {error}") from None
    if len(lines) != 2:
        raise ConfigurationError(f"{setting} must have two lines: key id, secret key")
    return lines[0], lines[1]
