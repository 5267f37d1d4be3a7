"""The daemon sees a command's change at the next login, and reads no more than it must."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from gateway.directory.edit import change_unit
from gateway.directory.live import LiveDirectory
from gateway.directory.snapshot import Directory, load
from gateway.store.database import Database

from .conftest import BY, DOMAIN, write


async def test_a_change_by_another_process_is_seen_at_once(office: Database) -> None:
    live = LiveDirectory(office, DOMAIN)
    first = await live.current()
    assert await live.current() is first
    other = Database(office.engine.url.render_as_string(hide_password=False), readers=1)
    other.write_now(lambda conn: change_unit(conn, "water", name="水务管理局", **BY))
    other.stop()
    assert live.now() is first
    second = await live.current()
    water = second.unit("water")
    assert water and water.name == "水务管理局"
    assert live.now() is second
    assert first.unit("water") != water


async def test_an_unchanged_directory_is_not_read_again(
    office: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, loaded = LiveDirectory(office, DOMAIN), list[str]()
    first = await live.current()

    def note(conn: Connection, domain: str) -> Directory:
        loaded.append(domain)
        return load(conn, domain)

    monkeypatch.setattr("gateway.directory.live.load", note)
    assert await live.current() is first
    assert loaded == []
    write(office, change_unit, "water", name="水务管理局")
    await live.current()
    assert loaded == [DOMAIN]


async def test_many_who_ask_at_once_after_a_change_get_the_same_new_picture(
    office: Database,
) -> None:
    live = LiveDirectory(office, DOMAIN)
    await live.current()
    write(office, change_unit, "water", name="水务管理局")
    pictures = await asyncio.gather(*(live.current() for _ in range(20)))
    assert len({id(picture) for picture in pictures}) == 1


async def test_the_first_picture_needs_no_loop(office: Database) -> None:
    assert LiveDirectory(office, DOMAIN).now().unit("water")
