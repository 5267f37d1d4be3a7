"""A real S3-compatible server (moto's) on loopback, as a process of its own, and buckets in it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.config import S3

READY_SECONDS = 20.0
_HEADERS = {
    "Host": "s3.amazonaws.com",
    "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


@dataclass
class ObjectServer:
    """The server; its objects are in its memory."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"office-{secrets.token_hex(4)}"
        httpx.put(f"{self.endpoint}/{name}", headers=_HEADERS, timeout=10).raise_for_status()
        return name

    def objects(self, bucket: str) -> list[str]:
        """Keys of all objects in the bucket."""
        page = httpx.get(f"{self.endpoint}/{bucket}?list-type=2", headers=_HEADERS, timeout=10)
        return [part.partition("</Key>")[0] for part in page.text.split("<Key>")[1:]]

    def octets(self, bucket: str, key: str) -> bytes:
        found = httpx.get(f"{self.endpoint}/{bucket}/{key}", headers=_HEADERS, timeout=10)
        return found.raise_for_status().content

    def write(self, bucket: str, key: str, octets: bytes) -> None:
        """Write behind the driver's back."""
        url = f"{self.endpoint}/{bucket}/{key}"
        httpx.put(url, headers=_HEADERS, content=octets, timeout=10).raise_for_status()

    def pause(self) -> None:
        """Let it hang: connections open, nothing answers."""
        os.kill(self.process.pid, 19)  # SIGSTOP

    def go_on(self) -> None:
        os.kill(self.process.pid, 18)  # SIGCONT

    def settings(self, folder: Path, bucket: str = "", **more: object) -> S3:
        """Settings of a new bucket, or of that one; the key file lies in the folder."""
        key = folder / "s3.key"
        key.write_text("office\nkeep-this-secret\n")
        key.chmod(0o600)
        values = {"endpoint": self.endpoint, "bucket": bucket or self.bucket(), **more}
        return S3(access_key_file=key, **values)  # type: ignore[arg-type]


@contextmanager
def serving(port: int = 0, **environment: str) -> Iterator[ObjectServer]:
    """The server while the block runs."""
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        _wait(port, process)
        yield ObjectServer(port, process)
    finally:
        process.kill()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the object server ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the object server was not ready in time")
