"""The bucket's own troubles: each is temporary and one sentence, and none shows the key."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.ids import new_id
from gateway.errors import ConfigurationError, StoreUnavailable
from gateway.store.s3 import AHEAD, PART, S3Blobs
from tests.objects import ObjectServer, serving

NAME = new_id(1_795_255_200_000, bytes(10))
SECRET = "keep-this-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with serving() as running:
        yield running


def test_a_store_that_is_not_there_is_temporary_and_says_so(tmp_path: Path) -> None:
    settings = ObjectServer(1, None).settings(tmp_path, "office")  # type: ignore[arg-type]
    blobs = S3Blobs(settings)
    for call in (
        lambda: blobs.put(NAME, [b"x"]),
        lambda: blobs.open(NAME),
        lambda: blobs.delete(NAME),
        lambda: list(blobs.list()),
        blobs.read_identity,
    ):
        with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:1 fails") as caught:
            call()
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.public == "the store cannot take mail now"
    assert "no mail can be stored: http://127.0.0.1:1 fails" in blobs.trouble()


def test_a_bucket_that_is_missing_is_never_taken_for_missing_blobs(
    server: ObjectServer, tmp_path: Path
) -> None:
    blobs = S3Blobs(server.settings(tmp_path, "nobody-made-it"))
    sentence = "blobs.s3.bucket: there is no bucket nobody-made-it"
    with pytest.raises(StoreUnavailable, match=sentence):
        blobs.open(NAME)  # a FileNotFoundError would read as: this document was lost
    with pytest.raises(StoreUnavailable, match=sentence):
        blobs.put(NAME, [b"x"])
    with pytest.raises(StoreUnavailable, match=sentence):
        blobs.put(NAME, [bytes(PART + 1)])
    with pytest.raises(ConfigurationError, match=sentence):
        blobs.read_identity()
    assert sentence in blobs.trouble()


def test_a_store_that_hangs_is_given_up_in_time_and_probes_do_not_pile_up(tmp_path: Path) -> None:
    with serving() as server:
        blobs = S3Blobs(server.settings(tmp_path, timeout_seconds=1))
        blobs.put(NAME, [b"x"])
        server.pause()
        try:
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                blobs.put(new_id(1_795_255_200_001, bytes(10)), [b"x"])
            assert time.monotonic() - began < 8
            first = threading.Thread(target=blobs.trouble)
            first.start()
            time.sleep(0.2)
            began = time.monotonic()
            assert "does not answer" in blobs.trouble()
            assert time.monotonic() - began < 0.5
            first.join()
        finally:
            server.go_on()
        with blobs.open(NAME) as file:
            assert file.read() == b"x"
        assert blobs.trouble() == ""


def test_an_object_that_is_replaced_while_it_is_read_is_never_read_half_and_half(
    server: ObjectServer, tmp_path: Path
) -> None:
    settings = server.settings(tmp_path)
    blobs = S3Blobs(settings)
    octets = random.Random(1).randbytes(AHEAD * 3)
    blobs.put(NAME, [octets])
    with blobs.open(NAME) as file:
        assert file.read(100) == octets[:100]
        server.write(settings.bucket, NAME, bytes(len(octets)))
        file.seek(AHEAD * 2)
        with pytest.raises(StoreUnavailable):
            file.read(100)


def test_an_upload_that_was_cut_off_is_not_there_and_what_a_command_left_can_be_discarded(
    server: ObjectServer, tmp_path: Path
) -> None:
    settings = server.settings(tmp_path, prefix="a/b/")
    blobs = S3Blobs(settings)
    blobs.put(NAME, [b"whole"])
    server.write(settings.bucket, f"a/b/{NAME}.tmp", b"half")
    server.write(settings.bucket, "a/b/notes.txt", b"the operator's")
    server.write(settings.bucket, f"other/{NAME}", b"another office's")
    assert [(kept.name, kept.size, kept.whole) for kept in blobs.list()] == [
        (NAME, 5, True),
        (NAME, 4, False),
    ]
    blobs.discard(NAME)
    blobs.discard(NAME)
    assert [kept.whole for kept in blobs.list()] == [True]
    blobs.delete(NAME)
    assert server.objects(settings.bucket) == ["a/b/notes.txt", f"other/{NAME}"]


@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        ("office\n", 0o600, "must have two lines"),
        ("a b c\n", 0o600, "must have two lines"),
        ("office\nsecret\n", 0o640, "can be read by others: `chmod 600` it"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_one_sentence(
    text: str, mode: int, sentence: str, server: ObjectServer, tmp_path: Path
) -> None:
    settings = server.settings(tmp_path, "b")
    settings.access_key_file.write_text(text)
    settings.access_key_file.chmod(mode)
    with pytest.raises(ConfigurationError, match=sentence):
        S3Blobs(settings)
    with pytest.raises(ConfigurationError, match=r"nowhere\.key cannot be read"):
        S3Blobs(settings.model_copy(update={"access_key_file": tmp_path / "nowhere.key"}))
    settings.access_key_file.write_text("office\nsecret\n")
    settings.access_key_file.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"blobs\.s3\.certificate: .* cannot be read"):
        S3Blobs(settings.model_copy(update={"certificate": tmp_path / "ca.pem"}))
