"""What encryption at rest costs: octets a second of `put` and `open`, plain and encrypted.

    python -m bench.atrest             each size, files on the disk of the current folder
    python -m bench.atrest --memory    how much memory one 25 MB blob takes while it goes through

Each put has its two fsyncs, as the daemon's. Trust the ratios, not the absolute figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.ids import new_id
from gateway.store import storage_key
from gateway.store.blobs import Blobs, FileBlobs
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.storage_key import KeyRing

SIZES = {"4 KB": 4_096, "100 KB": 102_400, "25 MB": 26_214_400}
PIECE = 65_536
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="store_true")
    memory = parser.parse_args().memory
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".atrest-") as folder:
        if memory:
            measure_memory(Path(folder))
        else:
            measure_speed(Path(folder))


def kinds(folder: Path) -> dict[str, Blobs]:
    ring = KeyRing((storage_key.generate(),))
    files = FileBlobs(folder)
    return {
        "plain": EncryptedBlobs(files, ring, encrypt=False),
        "encrypted": EncryptedBlobs(files, ring),
    }


def measure_speed(folder: Path) -> None:
    print(
        f"{'':10}{'':11}{'put MB/s':>10}{'put ms':>9}{'open MB/s':>11}{'open ms':>9}{'end ms':>9}"
    )
    for word, size in SIZES.items():
        count = max(8, min(400, 60_000_000 // size))
        made = kinds(folder)
        spent: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in made}
        for _ in range(ROUNDS):  # by turns, so that what else the machine does hits both
            for kind, blobs in made.items():
                spent[kind].append(one_round(blobs, size, count))
        medians: dict[str, list[float]] = {}
        for kind, rounds in spent.items():
            put, read, end = medians[kind] = [
                statistics.median(r[n] for r in rounds) for n in range(3)
            ]
            print(
                f"{word:10}{kind:11}{size / put / 1e6:10.1f}{put * 1e3:9.2f}"
                f"{size / read / 1e6:11.1f}{read * 1e3:9.3f}{end * 1e3:9.3f}"
            )
        ratios = [e / p for p, e in zip(medians["plain"], medians["encrypted"], strict=True)]
        print(f"{word:10}{'time x':11}{ratios[0]:19.2f}{ratios[1]:20.2f}{ratios[2]:9.2f}")


def one_round(blobs: Blobs, size: int, count: int) -> tuple[float, float, float]:
    """Seconds of one put, of one read of all, and of one read of the last 4 KB."""
    content = os.urandom(min(size, PIECE))
    names = [new_id(int(time.time() * 1000), os.urandom(10)) for _ in range(count)]
    start = time.perf_counter()
    for name in names:
        blobs.put(name, pieces(content, size))
    put = time.perf_counter()
    for name in names:
        with blobs.open(name) as file:
            while file.read(PIECE):
                pass
    read = time.perf_counter()
    for name in names:
        with blobs.open(name) as file:
            file.seek(size - 4_096)
            file.read(4_096)
    end = time.perf_counter()
    for name in names:
        blobs.delete(name)
    return (put - start) / count, (read - put) / count, (end - read) / count


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, size, len(content)):
        yield content[: size - start]


def measure_memory(folder: Path) -> None:
    for kind, blobs in kinds(folder).items():
        name = new_id(int(time.time() * 1000), os.urandom(10))
        content = os.urandom(PIECE)
        tracemalloc.start()
        blobs.put(name, pieces(content, SIZES["25 MB"]))
        with blobs.open(name) as file:
            while file.read(PIECE):
                pass
        print(f"{kind:11}{tracemalloc.get_traced_memory()[1] / 1024:8.0f} KiB at most")
        tracemalloc.stop()
        blobs.delete(name)


if __name__ == "__main__":
    main()
