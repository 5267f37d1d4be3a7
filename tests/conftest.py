"""Fixtures that all kinds of tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import databases as kinds
from tests import office as offices
from tests import postgres as servers

# Names the folder that all processes of one test run share; the first process makes and removes it.
_SHARED_FOLDER = "YIZHAN_TEST_RUN"


@contextmanager
def _short_folder() -> Iterator[Path]:
    """A folder with a short path: gpg's sockets allow some 80 octets, pytest's folders more."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """The shared folder is made before the test processes start, so that they inherit its name."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="yz")  # short, as above
        os.environ[_SHARED_FOLDER] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that touches a database runs on both kinds, unless it says why one is enough."""
    if "database_kind" in metafunc.fixturenames:
        one = metafunc.definition.get_closest_marker("one_database")
        found = kinds.KINDS if one is None else (one.kwargs.get("kind", kinds.SQLITE),)
        metafunc.parametrize("database_kind", found, indirect=True, scope="module")


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Cluster]:
    """The server of this test process. In CI its absence is a failure, elsewhere a skip."""
    with _server() as cluster:
        yield cluster


@pytest.fixture
def own_postgres() -> Iterator[Callable[..., servers.Cluster]]:
    """Starts servers of the test's own, to be crashed; `durable=True` keeps fsync."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(_server(**settings))


@contextmanager
def _server(**settings: Any) -> Iterator[servers.Cluster]:
    try:
        servers.programs()
    except servers.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with servers.running(**settings) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database_templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """What databases are copied from: files of SQLite, names on the server."""
    return tmp_path_factory.mktemp("templates"), set()


@pytest.fixture
def databases(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[kinds.Databases]:
    """Fresh databases for one test, which runs on SQLite and on PostgreSQL."""
    with _databases(database_kind, request, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def module_databases(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[kinds.Databases]:
    """Databases that the tests of one module share."""
    with _databases(database_kind, request, tmp_path_factory.mktemp("databases")) as made:
        yield made


@contextmanager
def _databases(
    kind: str, request: pytest.FixtureRequest, folder: Path
) -> Iterator[kinds.Databases]:
    files, names = request.getfixturevalue("database_templates")
    made: kinds.Databases
    if kind == kinds.SQLITE:
        made = kinds.SqliteDatabases(folder, files)
    else:
        made = kinds.PostgresDatabases(request.getfixturevalue("postgres"), names)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def office_template() -> Iterator[Path]:
    """The folder of a demo office from which others are copied: a copy of the test run's own."""
    shared = Path(os.environ[_SHARED_FOLDER])
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first process makes it, the others wait
        if not (shared / "made").exists():
            offices.make_template(shared / "demo")
            (shared / "made").touch()
    with _short_folder() as folder:
        # To read a database is to write beside it, so no two processes may use the same.
        yield Path(shutil.copytree(shared / "demo", folder / "demo"))


@contextmanager
def _maker(template: Path, databases: kinds.Databases) -> Iterator[Callable[..., offices.Office]]:
    made: list[offices.Office] = []
    with _short_folder() as folder:

        def make(name: str = "o", **changes: Any) -> offices.Office:
            url = ""
            if databases.kind != kinds.SQLITE:
                source = f"sqlite:///{template / 'state' / 'yizhan.db'}"
                url = databases.copy("office", lambda target: kinds.transfer(source, target))
            office = offices.copy_office(template, folder / name, database=url, **changes)
            made.append(office)
            return office

        yield make
        for office in made:
            if office.process is not None:
                office.kill()


@pytest.fixture
def make_office(
    office_template: Path, databases: kinds.Databases
) -> Iterator[Callable[..., offices.Office]]:
    """Makes fresh offices; their daemons end with the test."""
    with _maker(office_template, databases) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_office(
    office_template: Path, module_databases: kinds.Databases
) -> Iterator[Callable[..., offices.Office]]:
    """Makes offices that the tests of one module share; their daemons end with the module."""
    with _maker(office_template, module_databases) as make:
        yield make


@pytest.fixture
def office(make_office: Callable[..., offices.Office]) -> Iterator[offices.Office]:
    """A running office of the test's own."""
    with make_office().running() as running:
        yield running


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real mail. In CI its absence is a failure, elsewhere a skip with its reason."""
    folder = Path(os.environ.get("YIZHAN_SHARED", offices.ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        message = f"the real mail of {folder} is not here (set YIZHAN_SHARED)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Finds a Debian program. In CI its absence is a failure, elsewhere a skip with its reason."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed (scripts/install-debian-packages)"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find
