"""The index finds exactly what a plain scan of the folded text finds, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData, delete, func, select

from gateway.store.blobs import MemoryBlobs
from gateway.store.database import Database
from gateway.store.engine import make_engine
from mailboxes.content import Content
from mailboxes.entries import Entry, State, body_of, prepare
from mailboxes.indexing import IndexWriter
from mailboxes.rows import FolderSpec
from mailboxes.search import Place, SearchIndex
from mailboxes.search_tables import SearchTables, make_search_tables
from mailboxes.store import MailboxStore
from mailboxes.tables import Tables, make_tables
from mailboxes.tokens import fold
from tests.databases import Databases

NOW = datetime(2026, 11, 21, 17, 55, tzinfo=UTC)


class Cabinet:
    """Mailboxes with an index, whose contents say what the test says."""

    def __init__(self, database: Database, tables: Tables, search: SearchTables) -> None:
        self.database = database
        self.search = search
        self.store = MailboxStore(tables, MemoryBlobs().open)
        self.writer = IndexWriter(tables, search)
        self.entries: dict[int, Entry] = {}
        self.index = SearchIndex(tables, search, self._read)
        self.folders = {name: self._folder(name) for name in ("unit:water", "unit:roads")}

    def _folder(self, owner: str) -> int:
        def make(conn: Connection) -> int:
            self.store.ensure_mailbox(conn, owner, [FolderSpec("INBOX")], NOW)
            return self.store.folders(conn, owner)[0].id

        return self.database.write_now(make)

    def put(
        self, *texts: str, fields: Sequence[tuple[str, str]] = (), blob: str = "",
        owners: Sequence[str] = ("unit:water",), kind: str = "document", indexed: bool = True,
    ) -> int:  # fmt: skip
        """Put a content of those texts into the owners' folders."""

        def work(conn: Connection) -> int:
            content = Content.of_octets(b"Subject: x\r\n\r\nx", key=blob or "k", kind=kind)
            content_id = self.store.add_content(conn, content, NOW)
            folders = [self.folders[owner] for owner in owners]
            self.store.append(conn, folders, content_id, now=NOW)
            conn.execute(
                self.store._tables.contents.update()
                .where(self.store._tables.contents.c.id == content_id)
                .values(blob=blob)
            )
            return content_id

        content_id = self.database.write_now(work)
        self.entries[content_id] = Entry(
            content_id, blob or "k", kind, blob, 1000 + content_id, tuple(fields), tuple(texts)
        )
        if indexed:
            self.learn(content_id)
        return content_id

    def learn(self, *ids: int) -> int:
        made = [prepare(self.entries[one]) for one in ids]
        return self.database.write_now(lambda c: self.writer.add(c, made))

    def find(
        self, place: Place, sought: str, field: str = "", owner: str = "unit:water"
    ) -> set[int]:
        return self.database.read_now(
            lambda c: self.index.matching(c, self.folders[owner], place, sought, field)
        )

    def newest(self, *words: str, **options: object) -> list[int]:
        found = self.database.read_now(lambda c: self.index.newest(c, words, **options))  # type: ignore[arg-type]
        return [one.id for one in found]

    def _read(self, _conn: Connection, ids: Sequence[int]) -> Iterable[Entry]:
        return [self.entries[one] for one in ids]


@pytest.fixture
def make(databases: Databases) -> Iterator[Callable[[], Cabinet]]:
    made: list[Database] = []
    metadata = MetaData()
    tables = make_tables(metadata)
    search = make_search_tables(metadata)

    def fill(url: str) -> None:
        engine = make_engine(url)
        metadata.create_all(engine)
        engine.dispose()

    def make_one() -> Cabinet:
        made.append(Database(databases.copy("searched", fill, f"t{len(made)}")))
        return Cabinet(made[-1], tables, search)

    yield make_one
    for one in made:
        one.stop()


@pytest.fixture
def cabinet(make: Callable[[], Cabinet]) -> Cabinet:
    return make()


WORDS = ["水", "务", "局", "水务局", "关于", "通知", "防汛", "工作", "2026", "45", "号", "Water",
         "level", "a", "ab", "abc", "ﬁ", "１２", "ß"]  # fmt: skip
GLUE = ["", "", "", " ", "，", "。", "-", "\n", "\n\n", "〔", "〕", "　"]
TEXTS = st.lists(st.sampled_from(WORDS + GLUE), max_size=30).map("".join)


def pieces(texts: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Needles: pieces of the texts of every length, and some that are in none."""
    for text in texts:
        if text:
            at = chance.randrange(len(text))
            yield text[at : at + chance.choice([1, 1, 2, 2, 3, 4, 5, 9])]
    yield from chance.choices(WORDS + GLUE, k=4)
    yield chance.choice(WORDS) + chance.choice(GLUE) + chance.choice(WORDS)


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(texts=st.lists(TEXTS, min_size=3, max_size=12), seed=st.integers(0, 1 << 30))
def test_recall_and_precision_against_a_plain_scan_are_one(
    make: Callable[[], Cabinet], texts: list[str], seed: int
) -> None:
    cabinet = make()
    chance = random.Random(seed)
    ids = {
        cabinet.put(
            text, texts[number - 1], fields=[("Subject", text[:40]), ("X-Other", text[5:30])],
            indexed=chance.random() < 0.8,
        ): number
        for number, text in enumerate(texts)
    }  # fmt: skip
    for sought in pieces(texts, chance):
        folded = fold(sought)
        for place, scanned in (
            (Place.BODY, {n for n in ids if folded in body_of(cabinet.entries[n].texts or ())}),
            (Place.HEADER, {n for n in ids if folded in fold(texts[ids[n]][:40]).strip()}),
        ):
            field = "subject" if place is Place.HEADER else ""
            assert cabinet.find(place, sought, field) == scanned, (place, sought)
        named = {one for one, n in ids.items() if folded in fold(texts[n][5:30]).strip()}
        assert cabinet.find(Place.HEADER, sought, "X-OTHER") == named


def test_what_is_not_indexed_yet_is_found_all_the_same(cabinet: Cabinet) -> None:
    one = cabinet.put("关于防汛工作的通知", fields=[("Subject", "防汛")], indexed=False)
    for place, field in ((Place.BODY, ""), (Place.TEXT, ""), (Place.HEADER, "subject")):
        assert cabinet.find(place, "防汛", field) == {one}
    assert cabinet.newest("防汛") == []
    cabinet.learn(one)
    assert cabinet.newest("防汛") == [one]


def test_what_lies_behind_what_is_indexed_is_found_whatever_was_asked_before(
    cabinet: Cabinet,
) -> None:
    ids = [cabinet.put("防汛") for _ in range(3)]
    assert cabinet.find(Place.BODY, "防汛") == set(ids)
    late = cabinet.put("防汛", indexed=False)
    assert cabinet.find(Place.BODY, "防汛") == {*ids, late}
    cabinet.learn(late)
    assert cabinet.find(Place.BODY, "防汛") == {*ids, late}
    cabinet.database.write_now(cabinet.writer.clear)
    assert cabinet.find(Place.BODY, "防汛") == {*ids, late}
    cabinet.learn(*ids, late)
    assert cabinet.find(Place.BODY, "防汛") == {*ids, late}


def test_many_candidates_and_many_unindexed_are_found_as_few_are(
    cabinet: Cabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailboxes import frontier, newest, search

    monkeypatch.setattr(search, "_FEW", 2)
    monkeypatch.setattr(search, "_PORTION", 3)
    monkeypatch.setattr(frontier, "MOST", 2)
    monkeypatch.setattr(newest, "_WINDOW", 2)
    ids = [cabinet.put(f"防汛 {n}-a", indexed=n % 2 == 0) for n in range(9)]
    for sought in ("防汛", "汛 ", "-a"):
        assert cabinet.find(Place.BODY, sought) == set(ids)
        assert cabinet.newest(sought, limit=4) == ids[::-2][:4]
    assert cabinet.find(Place.BODY, "3-a") == {ids[3]}


def test_text_is_header_or_body_and_an_empty_needle_asks_for_the_field(cabinet: Cabinet) -> None:
    head = cabinet.put("甲", fields=[("From", "水务局 <water@heping.test>"), ("X-A", "")])
    body = cabinet.put("请水务局办理", fields=[("Subject", "乙"), ("CC", "a@b")])
    for learnt in (True, False):
        assert cabinet.find(Place.TEXT, "水务局") == {head, body}
        assert cabinet.find(Place.BODY, "水务局") == {body}
        assert cabinet.find(Place.HEADER, "水务局", "From") == {head}
        assert cabinet.find(Place.HEADER, "水务局") == {head}
        assert cabinet.find(Place.HEADER, "水务局", "subject") == set()
        assert cabinet.find(Place.HEADER, "", "cc") == {body}
        assert cabinet.find(Place.HEADER, "", "x-a") == {head}
        assert cabinet.find(Place.TEXT, "") == {head, body} == cabinet.find(Place.BODY, "")
        assert cabinet.find(Place.TEXT, "from: 水") == {head}
        if learnt:
            cabinet.database.write_now(cabinet.writer.clear)


def test_texts_of_different_places_do_not_run_into_each_other(cabinet: Cabinet) -> None:
    cabinet.put("请转水", "务局收")
    assert cabinet.find(Place.BODY, "水务") == set()


def test_views_of_one_blob_share_its_texts(cabinet: Cabinet) -> None:
    first = cabinet.put("防汛", blob="d1", fields=[("Subject", "甲")])
    cabinet.entries[first + 1] = Entry(first + 1, "d1", "document", "d1", 0, (), None)
    second = cabinet.put("防汛", blob="d1", fields=[("Subject", "乙")], owners=["unit:roads"])
    assert cabinet.find(Place.BODY, "防汛") == {first}
    assert cabinet.find(Place.BODY, "防汛", owner="unit:roads") == {second}
    assert cabinet.newest("防汛") == [first]
    with cabinet.database.engine.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(cabinet.search.texts)) == 1


def test_a_view_waits_until_the_texts_of_its_blob_are_there(cabinet: Cabinet) -> None:
    one = cabinet.put("防汛", blob="d1", indexed=False)
    whole = cabinet.entries[one]
    cabinet.entries[one] = Entry(one, "d1", "document", "d1", 0, (), None)
    assert cabinet.learn(one) == 0
    cabinet.entries[one] = whole
    assert cabinet.learn(one) == 1
    assert cabinet.learn(one) == 0


def test_the_newest_come_first_and_all_words_must_be_there(cabinet: Cabinet) -> None:
    ids = [
        cabinet.put(f"第{n}号 防汛工作", fields=[("Subject", "特急 通知" if n % 2 else "x")])
        for n in range(9)
    ]
    cabinet.learn(*reversed(ids))
    assert cabinet.newest("防汛", limit=3) == ids[:-4:-1]
    assert cabinet.newest("防汛", before=ids[-3], limit=2) == [ids[5], ids[4]]
    assert cabinet.newest("防汛", "通知", limit=2) == [ids[7], ids[5]]
    assert cabinet.newest("第3号", "特急") == [ids[3]]
    assert cabinet.newest("防", "7") == [ids[7]]
    assert cabinet.newest("防汛", "没有") == []
    assert cabinet.newest("特急通知") == []
    assert cabinet.newest("特急 通", limit=1) == [ids[7]]
    assert cabinet.newest(" ", before=ids[2], limit=2) == [ids[1], ids[0]]


def test_only_what_lies_in_the_mailbox_of_an_owner(cabinet: Cabinet) -> None:
    both = cabinet.put("防汛", owners=["unit:water", "unit:roads"])
    roads = cabinet.put("防汛", owners=["unit:roads"], kind="receipt")
    assert cabinet.newest("防汛", owners=["unit:water"]) == [both]
    assert cabinet.newest("防汛", owners=["unit:roads", "unit:water"]) == [roads, both]
    assert cabinet.newest("防汛", owners=["unit:none"]) == []
    assert cabinet.newest("防汛", kinds=["document"]) == [both]


def test_a_content_that_is_swept_leaves_the_index(cabinet: Cabinet) -> None:
    gone = cabinet.put("防汛 甲")
    kept = cabinet.put("防汛 乙")
    contents, messages = cabinet.store._tables.contents, cabinet.store._tables.messages

    def sweep(conn: Connection) -> int:
        texts = cabinet.writer.texts_of(conn, [gone, kept])
        conn.execute(delete(messages).where(messages.c.content_id == gone))
        conn.execute(delete(contents).where(contents.c.id == gone))
        assert cabinet.writer.lonely(conn) == [gone]
        return cabinet.writer.sweep(conn, texts)

    assert cabinet.database.write_now(sweep) == 1
    assert cabinet.newest("防汛") == [kept]
    assert cabinet.database.read_now(cabinet.writer.disagreement) == ([], [])


def test_a_number_that_is_given_again_has_the_new_texts(cabinet: Cabinet) -> None:
    old = cabinet.put("防汛 甲")
    contents, messages = cabinet.store._tables.contents, cabinet.store._tables.messages

    def lose(conn: Connection) -> None:
        conn.execute(delete(messages).where(messages.c.content_id == old))
        conn.execute(delete(contents).where(contents.c.id == old))

    cabinet.database.write_now(lose)
    new = cabinet.put("另一件 乙")
    assert cabinet.newest("乙") == [new]
    if new == old:
        assert cabinet.newest("甲") == []
    assert cabinet.find(Place.BODY, "另一件") == {new}


def test_what_is_forgotten_is_unindexed_again(cabinet: Cabinet) -> None:
    ids = [cabinet.put(f"第{n}号") for n in range(4)]
    for forget in (lambda c: cabinet.writer.forget(c, ids), cabinet.writer.clear):
        cabinet.database.write_now(forget)
        assert cabinet.newest("第") == []
        unindexed = cabinet.database.read_now(
            lambda c: cabinet.writer.unindexed(c, before=ids[-1], limit=2)
        )
        assert unindexed == [ids[2], ids[1]]
        assert cabinet.learn(*ids) == 4
        assert cabinet.newest("第") == ids[::-1]


def test_a_long_text_of_many_different_letters_is_indexed(cabinet: Cabinet) -> None:
    chance = random.Random(7)
    text = "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(200_000))
    one = cabinet.put(text)
    assert cabinet.find(Place.BODY, text[150_000:150_009]) == {one}
    assert cabinet.find(Place.BODY, text[:5_000]) == {one}
    assert cabinet.find(Place.BODY, text[100:105] + "水水") == set()


def test_states_are_told_with_the_hits(cabinet: Cabinet) -> None:
    one = cabinet.put("防汛", indexed=False)
    entry = cabinet.entries[one]
    cabinet.entries[one] = Entry(
        one, "k", "document", "", 5, (("Subject", "防汛"),), ("防汛",), "标题",
        State.PARTLY, "a.pdf: scanned",
    )  # fmt: skip
    cabinet.learn(one)
    hit = cabinet.database.read_now(lambda c: cabinet.index.newest(c, ["防汛"]))[0]
    assert (hit.state, hit.reason, hit.title, hit.key) == ("partly", "a.pdf: scanned", "标题", "k")
    assert hit.created == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=5)
    assert cabinet.database.read_now(lambda c: cabinet.index.body(c, one)) == "防汛"
    assert entry.state is State.WHOLE


def test_the_migration_and_the_module_make_the_same_index() -> None:
    from mailboxes.search_tables import MAKE_GRAMS

    migration = Path("gateway/store/migrations/versions/0006_search.py").read_text()
    squeezed = "".join(migration.replace('"', "").replace("'", "").split())
    for statements in MAKE_GRAMS.values():
        for statement in statements:
            plain = "".join(statement.replace('"', "").replace("'", "").split())
            assert plain in squeezed
