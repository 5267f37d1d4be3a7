"""Verifies an export of a Yizhan post office with nothing but Python's standard library, and gpg.

This file lies beside every export as verify.py. Run it there: `python3 verify.py [--all]`. It says
what it has proved, and ends with status 1 if anything is not as it should be. What it relies on is
written down in README.md, so that the same can be done in any language and in any decade.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Ed25519 as RFC 8032 defines it, in extended coordinates; slow, but nothing has to be installed.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)  # noqa: E741  # a square root of -1
Point = tuple[int, int, int, int]
ZERO: Point = (0, 1, 1, 0)
FEW = 2000  # signatures of single records that are checked without --all


def add(p: Point, q: Point) -> Point:
    """The sum of two points."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(number: int, p: Point) -> Point:
    """A multiple of a point."""
    found = ZERO
    while number:
        if number & 1:
            found = add(found, p)
        p = add(p, p)
        number >>= 1
    return found


def point(octets: bytes) -> Point | None:
    """The point that 32 octets name; None if they name none."""
    y = int.from_bytes(octets, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * I % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(public: bytes, signature: bytes, octets: bytes) -> bool:
    """Whether the signature is that key's over those octets."""
    if len(public) != 32 or len(signature) != 64 or BASE is None:
        return False
    key, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    digest = hashlib.sha512(signature[:32] + public + octets).digest()
    k = int.from_bytes(digest, "little") % L
    left, right = times(s, BASE), add(r, times(k, key))
    return not (
        (left[0] * right[2] - right[0] * left[2]) % P
        or (left[1] * right[2] - right[1] * left[2]) % P
    )


def sha(octets: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(octets).digest()


class Tree:
    """The Merkle tree of RFC 6962 while it grows."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: list[tuple[int, bytes]] = []  # leaves below, hash; from the left

    def append(self, octets: bytes) -> None:
        """One entry more."""
        self.size += 1
        self._whole.append((1, sha(b"\x00" + octets)))
        while len(self._whole) > 1 and self._whole[-1][0] == self._whole[-2][0]:
            (leaves, right), (_, left) = self._whole.pop(), self._whole.pop()
            self._whole.append((2 * leaves, sha(b"\x01" + left + right)))

    def root(self) -> bytes:
        """Of what is there now."""
        if not self._whole:
            return sha(b"")
        found = self._whole[-1][1]
        for _, left in reversed(self._whole[:-1]):
            found = sha(b"\x01" + left + found)
        return found


class Verifier:
    """One export."""

    def __init__(self, folder: Path, every: bool) -> None:
        self.folder = folder
        self.every = every
        self.faults = 0
        self.keys: dict[str, bytes] = {}
        self.office = ""
        self.sizes: dict[str, tuple[int, str]] = {}  # by document: size and digest

    def run(self) -> bool:
        """All steps; whether everything was proved."""
        self.files()
        self.office_key()
        self.log()
        self.documents()
        verdict = "Everything is as it was exported." if not self.faults else "NOT everything holds"
        print(verdict if not self.faults else f"{verdict}: {self.faults} faults.")
        return not self.faults

    def fault(self, sentence: str) -> None:
        """Something is not proved."""
        self.faults += 1
        print(f"NOT      {sentence}")

    def files(self) -> None:
        """Every file has the digest that SHA256SUMS says, and none is missing or too many."""
        listed: set[str] = set()
        for line in self.lines("SHA256SUMS"):
            digest, _, name = line.partition("  ")
            listed.add(name)
            try:
                if digest_of(self.folder / name) != digest:
                    self.fault(f"{name} has other octets than SHA256SUMS says")
            except OSError as error:
                self.fault(f"{name}: {error.strerror}")
        for place, _, names in os.walk(self.folder):
            for name in names:
                path = (Path(place) / name).relative_to(self.folder).as_posix()
                if path not in listed and path != "SHA256SUMS":
                    self.fault(f"{path} is not in SHA256SUMS")
        print(f"proved   {len(listed)} files are those that were written")

    def office_key(self) -> None:
        """The office's OpenPGP key has signed for each evidence key."""
        found = json.loads((self.folder / "evidence" / "keys.json").read_text("utf-8"))
        gpg = shutil.which("gpg")
        with tempfile.TemporaryDirectory() as home:
            if gpg is not None:
                self.gpg(gpg, home, "--import", str(self.folder / "evidence" / "office.asc"))
            for each in found:
                statement = base64.b64decode(each["statement"])
                said = json.loads(statement)
                public = base64.b64decode(said["public"])
                name = hashlib.sha256(public).hexdigest()[:32]
                if name != said["key"] or said["purpose"] != "yizhan-evidence-key":
                    self.fault(f"the statement about evidence key {said['key']} is not one")
                    continue
                self.keys[name], self.office = public, said["office"]
                if gpg is None:
                    self.fault(f"gpg is not here: is evidence key {name} the office's?")
                    continue
                files = Path(home, "statement"), Path(home, "signature")
                files[0].write_bytes(statement)
                files[1].write_text(each["signature"], "ascii")
                if self.gpg(gpg, home, "--verify", str(files[1]), str(files[0])):
                    print(f"proved   the office's OpenPGP key vouches for evidence key {name}")
                else:
                    self.fault(f"the office's word for evidence key {name} does not hold")

    def gpg(self, program: str, home: str, *words: str) -> bool:
        """Whether gpg says yes."""
        options = ["--homedir", home, "--batch", "--quiet", "--no-tty", "--trust-model", "always"]
        done = subprocess.run(  # noqa: S603  # gpg, no shell
            [program, *options, *words], capture_output=True, check=False
        )
        return done.returncode == 0

    def log(self) -> None:
        """Every checkpoint has the root of the records before it; records are linked and signed."""
        checkpoints = {
            one["size"]: one for one in map(json.loads, self.lines("evidence/checkpoints.jsonl"))
        }
        tree, signed, count, unsealed = Tree(), 0, 0, 0
        last: dict[str, tuple[int, str]] = {}
        for line in self.lines("evidence/records.jsonl"):
            each = json.loads(line)
            octets = base64.b64decode(each["record"])
            record = json.loads(octets)
            count += 1
            self.link(record, octets, last)
            if self.every or count <= FEW:
                signed += self.signature(each, record, octets)
            if each["number"] is None:
                unsealed += 1
                continue
            if each["number"] != tree.size:
                self.fault(f"record {record['id']} is not entry {tree.size} of the log")
            tree.append(octets)
            if tree.size in checkpoints:
                self.checkpoint(checkpoints.pop(tree.size), tree.root())
        for size in checkpoints:
            self.fault(f"the checkpoint of size {size} has no records")
        print(f"proved   {count} records are linked; {signed} of their signatures were checked")
        if signed < count:
            print("         (the others are covered by the signed checkpoints; --all checks each)")
        print(f"proved   the log has {tree.size} entries; {unsealed} records came after it")

    def link(self, record: Any, octets: bytes, last: dict[str, tuple[int, str]]) -> None:
        """A record names the one of its document before it; records of one come in order."""
        document = record["document"]
        sequence, digest = last.get(document, (0, ""))
        if (record["sequence"], record["previous"]) != (sequence + 1, digest):
            self.fault(f"record {record['id']} does not follow the one before of {document}")
        last[document] = (record["sequence"], hashlib.sha256(octets).hexdigest())
        if record["event"] == "SubmissionAcceptance" and record["content"]:
            self.sizes[document] = (record["content"]["size"], record["content"]["digest"])

    def signature(self, each: Any, record: Any, octets: bytes) -> bool:
        """The signature of one record."""
        public = self.keys.get(record["issuer"]["key"], b"")
        signature = base64.b64decode(each["signature"])
        if ed25519(public, signature, b"yizhan-record-v1\n" + octets):
            return True
        self.fault(f"the signature of record {record['id']} does not hold")
        return False

    def checkpoint(self, each: Any, root: bytes) -> None:
        """The root in the note is the tree's, and the note is signed by a key of the office."""
        text, _, signatures = each["note"].partition("\n\n")
        name, size, claimed = text.split("\n")[:3]
        if (base64.b64decode(claimed), int(size)) != (root, each["size"]):
            self.fault(f"the checkpoint of size {size} has another root than its records")
        octets = base64.b64decode(signatures.split()[2])
        for public in self.keys.values():
            if octets[:4] == sha(name.encode() + b"\n\x01" + public)[:4] and ed25519(
                public, octets[4:], text.encode() + b"\n"
            ):
                return
        self.fault(f"the checkpoint of size {size} is not signed by the office")

    def documents(self) -> None:
        """Every accepted document is there, with the digest that its evidence says."""
        count = 0
        found: dict[str, Path] = {}
        for place, _, names in os.walk(self.folder / "documents"):
            for name in names:
                if match := re.search(r"([0-9a-z]{26})\.eml$", name):
                    found[match[1]] = Path(place, name)
        for document, (size, digest) in self.sizes.items():
            path = found.pop(document, None)
            if path is None:
                self.fault(f"document {document} was accepted, but is not here")
            elif (path.stat().st_size, digest_of(path)) != (size, digest):
                self.fault(f"document {document} has other octets than its evidence says")
            else:
                count += 1
        for document in found:
            self.fault(f"document {document} is here without evidence that it was accepted")
        print(f"proved   {count} documents have the octets that their evidence says")

    def lines(self, name: str) -> Any:
        """The lines of a file."""
        with (self.folder / name).open(encoding="utf-8") as file:
            for line in file:
                yield line.removesuffix("\n")


def digest_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while octets := file.read(1 << 20):
            found.update(octets)
    return found.hexdigest()


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Verify an export of a Yizhan post office.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--all", action="store_true", help="check the signature of every record")
    chosen = parser.parse_args()
    return 0 if Verifier(chosen.folder, chosen.all).run() else 1


if __name__ == "__main__":
    sys.exit(main())
