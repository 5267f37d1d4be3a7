"""A running office: what came in is found by its words, and who has searched is written down."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import letters
from tests.office import Office
from tests.unit.inspection import files


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office("searched").running() as running:
        yield running


def search(office: Office, *words: str, expect: int = 0) -> list[Any]:
    done = office.run("search", *words, "--json", check=False)
    assert done.returncode == expect, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def soon(office: Office, *words: str, count: int = 1) -> list[Any]:
    """What is found once the office has indexed it."""
    deadline = time.monotonic() + 60
    while True:
        done = office.run("search", *words, "--json", check=False)
        found: list[Any] = json.loads(done.stdout)
        if len(found) >= count:
            assert len(found) == count
            return found
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.2)


def test_documents_are_found_by_title_text_and_attachment(office: Office) -> None:
    first = office.accept(
        "office",
        letters.with_attachment(
            letters.plain("office", "water", "关于防汛工作的通知", "各单位：\n请加强值守。\n"),
            "清单.docx", files.docx("抽水泵十二台"),
        ),
        "water",
    )  # fmt: skip
    second = office.accept(
        "office", letters.plain("office", "education", "关于防汛演练的通知"), "education"
    )
    found = soon(office, "防汛", count=2)
    assert [one["id"] for one in found] == [second, first]
    [pump] = search(office, "水泵", "值守")
    assert (pump["id"], pump["unit"]) == (first, "office")
    assert pump["searched"] == {"state": "whole", "reason": ""}
    text, marks = pump["text"]["text"], pump["text"]["marks"]
    assert "水泵" in {text[start:end] for start, end in marks} or "值守" in text
    assert [one["id"] for one in search(office, "防汛", "--unit", "water")] == [first]
    assert [one["id"] for one in search(office, "防汛", "--limit", "1")] == [second]
    assert search(office, "防汛", "没有这个词", expect=1) == []


@pytest.mark.one_database("what is shown; the index has tests on both")
def test_people_see_the_title_and_the_words(office: Office) -> None:
    octets = letters.plain("office", "water", "关于供水的函", "请于下周检修主管道。\n")
    document = office.accept("office", octets, "water")
    soon(office, "主管道")
    shown = office.run("search", "检修").stdout
    assert document in shown
    assert "关于供水的函" in shown
    assert "请于下周检修主管道。" in shown
    nothing = office.run("search", "查无此词", check=False)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing was found" in nothing.stderr
    unknown = office.run("search", "检修", "--unit", "nowhere", check=False)
    assert unknown.returncode == 1
    assert "no unit nowhere" in unknown.stderr
    empty = office.run("search", "  ", check=False)
    assert "say what to search for" in empty.stderr


@pytest.mark.one_database("what is shown; the index has tests on both")
def test_each_search_is_in_the_log_of_changes(office: Office) -> None:
    office.run("search", "独一无二的词", "--unit", "water", check=False)
    office.run("search", "另一个词", check=False)
    lines = json.loads(office.run("directory", "log", "--json").stdout)
    mine = [line for line in lines if line["action"] == "search"][:2]
    assert [line["key"] for line in mine] == ["all", "water"]
    assert "独一无二的词" in json.dumps(mine[1], ensure_ascii=False)
    assert all(line["actor"] for line in mine)


def test_a_kill_loses_nothing_of_the_index(office: Office) -> None:
    documents = [
        office.accept("office", letters.plain("office", "water", f"关于第{n}次停水的通知"), "water")
        for n in range(4)
    ]
    assert office.process is not None
    os.kill(office.process.pid, signal.SIGKILL)
    office.process.wait(30)
    office.process = None
    office.start()
    found = soon(office, "次停水", count=4)
    assert [one["id"] for one in found] == documents[::-1]
    office.run("fsck")
