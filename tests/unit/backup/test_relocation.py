"""A configuration that comes back in another folder leads nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backup.belongings import paths
from gateway.backup.relocation import load, relocate
from gateway.errors import CommandError

TEXT = """# ours
[office]
domain = "heping.test"
name = "邮局"

[state]
directory = "/var/lib/yizhan"

[tls]
certificate = "/etc/yizhan/tls.crt"   # from our CA
key = "/etc/ssl/private/tls.crt"

[[submission.listeners]]
port = 587

[policy]
directory = "/etc/yizhan/rules"
"""


def test_every_path_leads_into_the_new_folder_and_comments_stay() -> None:
    folder = Path("/srv/trial")
    made = relocate(TEXT, folder)
    config = load(made, folder)
    found = dict(paths(config))
    assert all(path.is_relative_to(folder) for path in found.values())
    assert len(set(found.values())) == len(found), "two files of one name do not become one"
    assert made.startswith("# ours\n") and config.office.name == "邮局"
    assert config.state.database_url == "sqlite:////srv/trial/state/yizhan.db"


@pytest.mark.parametrize("given", ["", 'database = "postgresql+psycopg://a/old"\n'])
def test_the_database_is_the_one_that_was_named(given: str) -> None:
    text = TEXT.replace("[state]\n", f"[state]\n{given}")
    for url in ("postgresql+psycopg:///new", ""):
        config = load(relocate(text, Path("/srv/trial"), url), Path("/srv/trial"))
        assert config.state.database == url


def test_a_file_that_cannot_be_changed_by_lines_is_refused() -> None:
    text = TEXT.replace('[tls]\ncertificate = "/etc/yizhan/tls.crt"   # from our CA\nkey = "/etc/ssl/private/tls.crt"\n', "")  # fmt: skip # noqa: E501
    text = 'tls = { certificate = "/etc/yizhan/a.crt", key = "/etc/yizhan/a.key" }\n' + text
    with pytest.raises(CommandError, match="write one by hand"):
        relocate(text, Path("/srv/trial"))
