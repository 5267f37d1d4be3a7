"""How quickly words are found among many documents, beside what SQLite offers by itself.

Makes documents of Chinese official prose, drawn by a seeded chance from real words so that a few
are frequent and most are rare, each with a number, a date and some Latin letters; puts them into
the search index as the post office does; and measures, each in the same run over the same texts:

- the newest 20 of all documents (`yizhan search`), beside a plain scan (LIKE) and beside the
  trigram tokenizer of FTS5;
- SEARCH TEXT, BODY, SUBJECT and FROM in a folder of 10,000 messages, and in one of all.

Run it as `python -m bench.search --documents 100000`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, MetaData, insert
from zhconv import zhconv

from gateway.store.engine import make_engine
from mailboxes.entries import Entry, Prepared, prepare
from mailboxes.indexing import IndexWriter
from mailboxes.rows import FolderSpec
from mailboxes.search import Place, SearchIndex
from mailboxes.search_tables import SearchTables, make_search_tables
from mailboxes.store import MailboxStore
from mailboxes.tables import Tables, make_tables
from mailboxes.tokens import fold

NOW = datetime(2026, 11, 21, tzinfo=UTC)
T = TypeVar("T")
LIMIT = 20
PORTION = 200
FOLDER = 10_000  # messages of the smaller folder
_MIB = 1 << 20
_OFFICIAL = """
通知 关于 工作 会议 办公室 人民政府 各单位 认真 贯彻 落实 防汛 值守 水务局 教育局 街道 检查
安全生产 专项 整治 行动 方案 印发 请示 批复 报告 函 现将 有关 事项 如下 以上 请予 支持
"""
_UNITS = ("office", "water", "education", "finance", "health", "roads", "police", "archives")


class Prose:
    """Texts by a seeded chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        loaded = zhconv.getdict("zh-cn")  # of a package that the office has anyway
        words = sorted({word for word in loaded.values() if 1 < len(word) < 7})
        self._chance.shuffle(words)
        letters = sorted(set("".join(words)))
        # Names of people and places are in no dictionary.
        words += ["".join(self._chance.choices(letters, k=2 + n % 2)) for n in range(20_000)]
        self.words = [*_OFFICIAL.split(), *words]
        weights = (1 / (place + 5) for place in range(len(self.words)))
        self._weights = list(accumulate(weights))

    def sentence(self, words: int) -> str:
        return "".join(self._chance.choices(self.words, cum_weights=self._weights, k=words))

    def title(self, number: int) -> str:
        return f"和政办发〔2026〕{number}号 关于{self.sentence(3)}的通知"

    def body(self, characters: int) -> str:
        pieces: list[str] = []
        length = 0
        while length < characters:
            piece = f"{self.sentence(8)}，{self.sentence(6)}。"
            if self._chance.random() < 0.2:
                piece += f"Room {self._chance.randrange(900)}, {self._chance.random():.6f}\n"
            pieces.append(piece)
            length += len(piece)
        return "".join(pieces)


def entries(number: int, characters: int, seed: int) -> Iterator[Entry]:
    """The documents, the oldest first."""
    prose = Prose(seed)
    for one in range(1, number + 1):
        title, sender = prose.title(one), _UNITS[one % len(_UNITS)]
        fields = (
            ("Return-Path", f"<{sender}@heping.test>"),
            (
                "Received",
                f"from pc-{one % 90}.heping.test by mail.heping.test with ESMTPSA id {one:026}",
            ),
            ("Authentication-Results", "mail.heping.test; auth=pass; x-yizhan-seal=pass"),
            ("Yizhan-Document", f"{one:026}; class=document; urgency=normal"),
            ("Message-ID", f"<{one * 7919:x}.{one}@pc.heping.test>"),
            ("Date", "Sat, 21 Nov 2026 17:55:00 +0800"),
            ("MIME-Version", "1.0"),
            ("User-Agent", "Mozilla Thunderbird"),
            ("From", f"{prose.words[one % 30]} <{sender}@heping.test>"),
            ("To", "水务局 <water@heping.test>, 教育局 <education@heping.test>"),
            ("Subject", title),
            ("Content-Type", f'multipart/mixed; boundary="------------{one:024}"'),
        )
        body = prose.body(characters)
        yield Entry(one, f"d{one}", "document", f"d{one}", one * 1000, fields, (body,))


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=550)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="yizhan-search") as scratch:
        run(Path(scratch) / "search.db", given.documents, given.characters, given)


def run(file: Path, number: int, characters: int, given: argparse.Namespace) -> None:
    """The whole measurement, in one SQLite file."""
    metadata = MetaData()
    tables = make_tables(metadata)
    search = make_search_tables(metadata)
    engine = make_engine(f"sqlite:///{file}").execution_options(yizhan_write=True)
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA synchronous=OFF")  # type: ignore[union-attr]
        folders = fill(connection, tables, search, number, characters, given.seed)
        make_peers(connection)
        connection.commit()
        sizes(connection)
        index = SearchIndex(tables, search, lambda _connection, _ids: ())
        words = pick(connection, given.seed)
        newest(connection, index, words, given.rounds)
        imap(connection, index, folders, words, given.rounds)
    engine.dispose()


def fill(
    connection: Connection, tables: Tables, search: SearchTables, number: int, characters: int,
    seed: int,
) -> dict[str, int]:  # fmt: skip
    """Contents, messages and index; the folders' ids by name."""
    store, writer = MailboxStore(tables, _no_blob), IndexWriter(tables, search)
    for owner in ("unit:small", "unit:all"):
        store.ensure_mailbox(connection, owner, [FolderSpec("INBOX")], NOW)
    folders = {
        owner: store.folder_id(connection, f"unit:{owner}", "INBOX") for owner in ("small", "all")
    }
    preparing = writing = 0.0
    portion: list[Entry] = []
    for entry in entries(number, characters, seed):
        portion.append(entry)
        if len(portion) < PORTION and entry.content_id < number:
            continue
        _contents(connection, tables, portion, folders, number)
        begun = time.perf_counter()
        made: list[Prepared] = [prepare(one) for one in portion]
        prepared = time.perf_counter()
        writer.add(connection, made)
        preparing += prepared - begun
        writing += time.perf_counter() - prepared
        connection.commit()
        portion = []
    print(
        f"{number} documents of {characters} characters indexed: {preparing / number * 1e6:.0f} us "
        f"each to prepare, {writing / number * 1e6:.0f} us in the writer"
    )
    return folders


def _contents(
    connection: Connection, tables: Tables, portion: Sequence[Entry], folders: dict[str, int],
    number: int,
) -> None:  # fmt: skip
    rows = [
        {
            "id": one.content_id, "key": one.key, "kind": one.kind, "blob": one.blob,
            "size_original": 0, "cuts": "[]", "size": 3700, "digest": str(one.content_id),
            "structure": "", "envelope": "", "bodystructure": "", "created": one.created,
            "header": b"",
        }
        for one in portion
    ]  # fmt: skip
    connection.execute(insert(tables.contents), rows)
    connection.execute(
        insert(tables.messages),
        [
            {
                "folder_id": folder, "content_id": one.content_id, "uid": one.content_id,
                "modseq": 1, "flags": "", "seen": False, "arrived": one.created,
            }
            for one in portion
            for name, folder in folders.items()
            if name == "all" or one.content_id > number - FOLDER
        ],
    )  # fmt: skip


def _no_blob(name: str) -> object:
    raise FileNotFoundError(name)


def make_peers(connection: Connection) -> None:
    """What SQLite has by itself: a table for LIKE, and its trigram tokenizer over the same text."""
    connection.exec_driver_sql("CREATE TABLE plain (id INTEGER PRIMARY KEY, body TEXT)")
    connection.exec_driver_sql(
        "INSERT INTO plain SELECT id, title || char(10) || body FROM mailbox_texts ORDER BY id"
    )
    connection.exec_driver_sql(
        "CREATE VIRTUAL TABLE three USING fts5(body, content='', tokenize='trigram')"
    )
    connection.exec_driver_sql("INSERT INTO three (rowid, body) SELECT id, body FROM plain")


def sizes(connection: Connection) -> None:
    """Octets of the parts."""
    parts = {
        "the tokens": "name LIKE 'mailbox_grams%'",
        "the texts": "name IN ('mailbox_texts')",
        "the headers": "name IN ('mailbox_heads')",
        "trigrams of FTS5": "name LIKE 'three%'",
    }
    for what, where in parts.items():
        try:
            size = connection.exec_driver_sql(f"SELECT sum(pgsize) FROM dbstat WHERE {where}")  # noqa: S608
        except Exception:  # noqa: BLE001  # an SQLite without dbstat
            return
        print(f"{what}: {(size.scalar() or 0) / _MIB:.0f} MiB")


def pick(connection: Connection, seed: int) -> list[list[str]]:
    """Needles that are frequent, rare and in between, as they are in the texts."""
    chance = random.Random(seed)
    total = connection.exec_driver_sql("SELECT max(id) FROM plain").scalar() or 1
    body = str(
        connection.exec_driver_sql(
            "SELECT body FROM mailbox_texts WHERE id = ?", (chance.randrange(1, total + 1),)
        ).scalar()
    )
    at = body.index(",", 8)
    return [
        ["水"], ["罕"], ["防汛"], ["水务局"], ["教育局检查"], [body[at - 4 : at]],
        [body[at - 3 : at + 4]], ["2026"], [f"〔2026〕{total // 2}号"], ["room 7"], ["查无此词"],
        ["防汛", "检查"], ["防汛", "水务局", body[at - 4 : at]],
    ]  # fmt: skip


def newest(
    connection: Connection, index: SearchIndex, needles: Sequence[Sequence[str]], rounds: int
) -> None:
    """The newest 20 by each way; a way that finds others is marked."""
    print("\n| words | contain them | yizhan | LIKE | trigram |\n| --- | --- | --- | --- | --- |")
    for words in needles:
        folded = [fold(word) for word in words]
        like = " AND ".join("instr(body, ?) > 0" for _ in folded)
        # instr is LIKE without its case folding: the quicker scan.
        scan = f"SELECT id FROM plain WHERE {like} ORDER BY id DESC LIMIT {LIMIT}"  # noqa: S608
        count = connection.exec_driver_sql(
            f"SELECT count(*) FROM plain WHERE {like}",  # noqa: S608
            tuple(folded),
        ).scalar()
        match = " AND ".join(f'"{word}"' for word in folded)
        three = "SELECT rowid FROM three WHERE three MATCH ? ORDER BY rowid DESC LIMIT 20"
        ways: list[Callable[[], list[int]]] = [
            lambda words=words: [hit.id for hit in index.newest(connection, words, limit=LIMIT)],
            lambda scan=scan, folded=folded: list(
                connection.exec_driver_sql(scan, tuple(folded)).scalars()
            ),
            lambda three=three, match=match: list(
                connection.exec_driver_sql(three, (match,)).scalars()
            ),
        ]  # type: ignore[misc]
        expected = ways[1]()
        cells = []
        for way in ways:
            found, took = timed(way, rounds)
            wrong = "" if found == expected else f" (finds {len(found)} of {len(expected)})"
            cells.append(f"{took:.2f} ms{wrong}")
        print(f"| {' + '.join(words)} | {count} | {' | '.join(cells)} |")


def imap(
    connection: Connection, index: SearchIndex, folders: dict[str, int],
    needles: Sequence[Sequence[str]], rounds: int,
) -> None:  # fmt: skip
    """SEARCH in the folders."""
    print("\n| folder | place | text | found | median |\n| --- | --- | --- | --- | --- |")
    asked = [(place, words[0]) for words in needles[:10] for place in (Place.TEXT, Place.BODY)]
    for name, folder in folders.items():
        for place, word, field in [
            *((place, word, "") for place, word in asked),
            (Place.HEADER, "关于", "subject"),
            (Place.HEADER, "防汛", "subject"),
            (Place.HEADER, "water@", "from"),
            (Place.HEADER, "1eef.", "message-id"),
        ]:
            found, took = timed(
                lambda folder=folder, place=place, word=word, field=field: index.matching(  # type: ignore[misc]
                    connection, folder, place, word, field
                ),
                min(rounds, 7),
            )
            where = f"{place.value} {field}".strip()
            print(f"| {name} | {where} | {word} | {len(found)} | {took:.1f} ms |")


def timed(work: Callable[[], T], rounds: int) -> tuple[T, float]:
    """What the work gives, and the median of its times in milliseconds."""
    result = work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - begun) * 1000)
    return result, statistics.median(times)


if __name__ == "__main__":
    main()
