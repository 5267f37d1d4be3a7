"""`yizhan check` says which people an office lacks, and which certificates can open nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from gateway import config
from gateway.directory.edit import add_account, add_unit, change_account
from gateway.directory.model import AccountKind, Level, Role, UnitClass
from gateway.directory.snapshot import load
from gateway.domain.clock import SystemClock
from gateway.soundness import find_missing_people
from tests.databases import Databases, opened
from tests.office import Office

DOMAIN = "heping.test"


def settings(officer: str = "", client_ca: str | None = None) -> config.Config:
    """A configuration file's worth of settings."""
    data: dict[str, Any] = {
        "office": {"domain": DOMAIN, "name": "和平区", "security_officer": officer},
        "state": {"directory": "state"},
        "submission": {"listeners": [{"port": 0}], "client_ca": client_ca},
        "tls": {"certificate": "a", "key": "b"},
    }
    return config.Config.model_validate(data, strict=False)


def test_an_office_without_operator_or_officer_is_told(databases: Databases) -> None:
    database = opened(databases, readers=1)
    by: dict[str, Any] = {"actor": "test", "now": SystemClock().now()}

    def people(connection: Connection) -> None:
        add_unit(
            connection, code="office", name="区政府办", level=Level.DISTRICT,
            unit_class=UnitClass.ORGAN, **by,
        )  # fmt: skip
        add_account(
            connection, login="li", name="李娜", kind=AccountKind.PERSONAL,
            units={"office": [Role.CLERK]}, certificates=["ab" * 32], **by,
        )  # fmt: skip

    def faults(**values: Any) -> list[str]:
        directory = database.read_now(lambda c: load(c, DOMAIN))
        return find_missing_people(settings(**values), directory)

    database.write_now(people)
    operator, officer, certificate = faults(officer="zhao")
    assert "postmaster@heping.test reaches nobody" in operator
    assert officer.startswith("office.security_officer: there is no active account 'zhao'")
    assert certificate.startswith("submission.client_ca: account 'li' lists certificate abab")
    units = {"office": [Role.CLERK, Role.OPERATOR]}
    database.write_now(lambda c: change_account(c, "li", units=units, **by))
    assert faults(officer="li", client_ca="ca.pem") == []
    database.stop()


def test_the_command_names_file_and_key(make_office: Callable[..., Office]) -> None:
    office = make_office(changes={'security_officer = "': 'security_officer = "no-'})
    done = office.run("check", check=False)
    assert done.returncode == 78
    assert done.stderr.startswith(f"{office.config}: office.security_officer: there is no active")
    assert len(done.stderr.splitlines()) == 1
