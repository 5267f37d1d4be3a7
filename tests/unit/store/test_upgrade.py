"""Before an upgrade the database is copied as it is, or nothing begins."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.errors import ConfigurationError
from gateway.store import migrate, upgrade
from gateway.store.engine import make_engine

pytestmark = pytest.mark.one_database("a server's database is not copied")


def test_without_room_for_the_copy_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'yizhan.db'}")
    migrate.upgrade(engine, "0001")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ConfigurationError) as caught:
        upgrade.bring_up_to_date(engine)
    assert caught.value.exit_status == 78
    assert caught.value.public.startswith(
        f"{tmp_path}: the database is copied before it is brought"
    )
    assert migrate.current(engine) == "0001"
    engine.dispose()


def test_a_new_or_newest_database_is_not_copied(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'yizhan.db'}")
    for _ in range(2):
        upgrade.bring_up_to_date(engine)
        assert migrate.current(engine) == migrate.known()[-1]
    engine.dispose()
    assert [path.name for path in tmp_path.glob("*schema*")] == []
