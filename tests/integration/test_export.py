"""The owner takes everything away, and reads and verifies it without this program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.backup import verifier
from gateway.cli import export as command
from gateway.errors import CommandError
from gateway.evidence.keys import evidence_key
from tests import letters
from tests.office import Office, read_maildir

SENT = 5


@pytest.fixture
def disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[tuple[Office, dict[str, bytes]]]:
    """A running office and what was sent, by the document's id."""
    made = make_module_office("export")
    sent: dict[str, bytes] = {}
    with made.running():
        for number in range(SENT):
            octets = letters.plain(
                "office@heping.test", "water@heping.test", f"关于{number}的通知\\n",
                "和政发〔2026〕12号\n\n各单位：\n",
            )  # fmt: skip
            sent[made.accept("office", octets, "water")] = octets
        for document in sent:
            made.settled(document)
        yield made, sent


def export(office: Office, folder: Path, status: int = 0) -> Any:
    words = ["--all", str(folder), "--config", str(office.config), "--json"]
    done = CliRunner().invoke(command.app, words, catch_exceptions=False)
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def check(folder: Path, *words: str) -> tuple[int, str]:
    """What verify.py says, in a Python that has nothing but its standard library."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", str(folder / "verify.py"), *words],
        capture_output=True, text=True, timeout=120, check=False, cwd="/",
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_everything_leaves_in_open_formats_and_verifies_itself(
    office: tuple[Office, dict[str, bytes]], disk: Path, program: Callable[[str], str]
) -> None:
    made, sent = office
    told = export(made, disk / "e")
    assert (told["documents"], told["damaged"]) == (SENT, [])
    status, said = check(disk / "e", "--all")
    assert status == 0, said
    assert f"{SENT} documents have the octets" in said and "vouches for evidence key" in said
    files = (disk / "e").rglob("documents/**/*.eml")
    found = {path.stem[-26:]: path.read_bytes() for path in files}
    assert found == sent
    inbox = read_maildir(disk / "e" / "mailboxes" / "unit_water")["INBOX"]
    assert len(inbox) == SENT
    assert all(any(mail.endswith(octets[-40:]) for octets in sent.values()) for mail in inbox)
    assert len(list((disk / "e" / "evidence" / "receipts").rglob("*.eml"))) == told["receipts"] >= 5
    for line in (disk / "e" / "tables" / "documents.jsonl").read_text().splitlines():
        assert json.loads(line)["id"] in sent
    assert "password_hash" not in (disk / "e" / "tables" / "accounts.csv").read_text()
    assert "水务局" in (disk / "e" / "directory.csv").read_text()
    assert "电子邮局" in (disk / "e" / "README.zh-CN.md").read_text()
    subprocess.run(
        [program("sha256sum"), "--check", "--quiet", "--strict", "SHA256SUMS"],
        cwd=disk / "e", check=True,
    )  # fmt: skip
    others = [p for p in (disk / "e").rglob("*") if p.stat().st_mode & 0o077]
    assert others == [], "it holds every mail of the office"


@pytest.mark.one_database("files alone")
def test_a_changed_export_does_not_verify(
    office: tuple[Office, dict[str, bytes]], disk: Path
) -> None:
    made, sent = office
    export(made, disk / "e")
    folder = disk / "e"
    document = next(folder.rglob(f"*_{min(sent)}.eml"))
    records = folder / "evidence" / "records.jsonl"
    notes = folder / "evidence" / "checkpoints.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    sums = (folder / "SHA256SUMS").read_text()

    def swap(text: bytes, old: bytes, new: bytes) -> bytes:
        assert old in text
        return text.replace(old, new, 1)

    forged = json.loads(lines[0])
    forged["signature"] = json.loads(lines[1])["signature"]
    note = json.loads(notes.read_text().splitlines()[-1])["note"]
    changes: list[tuple[Path, bytes, str]] = [
        (document, b"?" + document.read_bytes()[1:], "other octets than its evidence says"),
        (records, b"".join(lines[1:]), "does not follow the one before"),
        (records, b"".join([json.dumps(forged).encode() + b"\n", *lines[1:]]), "signature of"),
        (records, b"".join([lines[1], lines[0], *lines[2:]]), "is not entry"),
        (notes, swap(notes.read_bytes(), json.dumps(note)[1:60].encode(),
                     json.dumps(note.replace("heping", "hepinh"))[1:60].encode()), "checkpoint"),
    ]  # fmt: skip
    for path, octets, sentence in changes:
        before = path.read_bytes()
        path.write_bytes(octets)
        name = path.relative_to(folder).as_posix()
        digest = verifier.digest_of(path)  # whoever forges makes the list of digests anew
        (folder / "SHA256SUMS").write_text(
            "".join(
                f"{digest}  {name}\n" if line.endswith(f"  {name}\n") else line
                for line in sums.splitlines(keepends=True)
            )
        )
        status, said = check(folder)
        assert status == 1 and sentence in said, (sentence, said)
        path.write_bytes(before)
        (folder / "SHA256SUMS").write_text(sums)
    document.unlink()
    (folder / "new.txt").touch()
    said = check(folder)[1]
    assert "was accepted, but is not here" in said and "new.txt is not in SHA256SUMS" in said


@pytest.mark.one_database("files alone")
def test_an_export_that_was_stopped_goes_on_and_touches_nothing_else(
    office: tuple[Office, dict[str, bytes]], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = office
    from gateway.backup.export import Export

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as patch:
        patch.setattr(Export, "_receipts", fail)
        with pytest.raises(CommandError, match=r"is not finished.*run it again"):
            export(made, disk / "e")
    assert not (disk / "e" / "SHA256SUMS").exists()
    before = {p: p.stat().st_ino for p in (disk / "e" / "documents").rglob("*.eml")}
    assert len(before) == SENT
    export(made, disk / "e")
    assert {p: p.stat().st_ino for p in before} == before
    assert check(disk / "e")[0] == 0
    (disk / "other").mkdir()
    (disk / "other" / "letter.txt").touch()
    with pytest.raises(CommandError, match="not empty and holds no export"):
        export(made, disk / "other")
    assert [p.name for p in (disk / "other").iterdir()] == ["letter.txt"]


@pytest.mark.one_database("files alone")
def test_a_damaged_document_is_named_and_the_rest_leaves(
    office: tuple[Office, dict[str, bytes]], disk: Path
) -> None:
    made, sent = office
    blob = next((made.folder / "state" / "blobs").rglob(max(sent)))
    octets = blob.read_bytes()
    blob.write_bytes(octets + b"more")
    try:
        assert export(made, disk / "e", status=1)["damaged"] == [max(sent)]
    finally:
        blob.write_bytes(octets)
    found = {path.stem[-26:] for path in (disk / "e").rglob("documents/**/*.eml")}
    assert found == sent.keys() - {max(sent)}


def test_the_verifiers_own_ed25519_agrees_with_the_librarys() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    for number in range(8):
        key = evidence_key(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
        octets = bytes(number)
        signature = key.sign(octets)
        assert verifier.ed25519(key.public, signature, octets)
        assert not verifier.ed25519(key.public, signature, octets + b"x")
        for place in (0, 31, 32, 63):
            changed = bytearray(signature)
            changed[place] ^= 1
            assert not verifier.ed25519(key.public, bytes(changed), octets)
        # The same signature with its number grown by the group's order must not count as another.
        grown = int.from_bytes(signature[32:], "little") + verifier.L
        grown_too = signature[:32] + grown.to_bytes(32, "little")
        assert not verifier.ed25519(key.public, grown_too, octets)
