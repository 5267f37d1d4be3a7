"""A command starts quickly because it imports only what it needs: guarded by names, not by time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.office import ROOT

# Runs one command in a fresh interpreter; the last line of stderr names all that it has imported.
RUN = """
import json, sys
sys.argv[0] = "yizhan"
from gateway.cli.main import main
try:
    main()
except SystemExit as end:
    status = end.code or 0
else:
    status = 0
sys.stderr.write("\\n" + json.dumps([status, sorted(sys.modules)]))
"""
DAEMON = {"uvicorn", "starlette", "aiosmtpd", "uvloop", "prometheus_client"}
NEVER = DAEMON | {"rich", "alembic", "gnupg", "jinja2", "structlog", "asyncssh", "obstore"}
CASES = {
    "": {"typer", "sqlalchemy", "pydantic", "rich", "asyncio", "cryptography"} | NEVER,
    "--help": {"typer", "sqlalchemy", "pydantic", "rich", "asyncio", "cryptography"} | NEVER,
    "--version": {"typer", "sqlalchemy", "pydantic", "rich", "asyncio"} | NEVER,
    "status --help": {"sqlalchemy"} | NEVER,
    "document list --help": {"sqlalchemy"} | NEVER,
    "completion bash": {"sqlalchemy"} | NEVER,
    "status": NEVER | {"psycopg"},
    "document list": NEVER | {"psycopg", "cryptography", "pysequoia"},
    "unit list": NEVER | {"psycopg", "cryptography", "pysequoia"},
    "log 和水报〔2026〕13号": NEVER | {"psycopg"},
    "check": {"alembic", "asyncssh"} | DAEMON - {"uvicorn"},
}


@pytest.mark.one_database("what is imported for SQLite")
@pytest.mark.parametrize("command", CASES)
def test_a_command_imports_only_what_it_needs(command: str, office_template: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "YIZHAN_CONFIG": str(office_template / "yizhan.toml")},
    )  # fmt: skip
    status, imported = json.loads(done.stderr.splitlines()[-1])
    assert status == (1 if command.startswith("log") else 0), done.stderr[:2000]
    packages = {name.partition(".")[0] for name in imported}
    assert sorted(packages & CASES[command]) == []


def test_a_command_that_is_mistyped_gets_a_hint_and_status_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "docment"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "yizhan: there is no command 'docment'; did you mean `yizhan document`?\n"
    )
