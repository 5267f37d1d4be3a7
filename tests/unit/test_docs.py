"""The pages for people are whole and true: made from the code where they can be, checked where not.

Metrics and the policy's checks, facts, sentences and warnings have tests of their own beside them.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from gateway import config, config_file, manual
from gateway.cli import main
from gateway.cli import manual as command_manual
from gateway.cli.folders import FolderGroup
from gateway.cli.main import COMMANDS
from gateway.config import Config
from gateway.config_types import Section
from gateway.console.metrics import METRICS
from gateway.directory.csvfile import COLUMNS, read
from gateway.policy.checks import CHECKS
from gateway.store.fault import POINTS
from tests import manuals
from tests.office import ROOT

DOCS = ROOT / "docs"
MADE = {
    "commands.md": command_manual.render,
    "configuration.md": manual.render,
    "yizhan.sample.toml": manual.sample,
}
COMMAND_NAMES = sorted(manuals.command_tree())


@pytest.mark.parametrize("name", MADE)
def test_pages_made_from_the_code_are_what_the_code_makes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == MADE[name](), "run `make docs`"


def settings(model: type[Section] = Config, path: str = "") -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    says = manual.describe(model)
    for key, field in model.model_fields.items():
        found[f"{path}{key}"] = says[key]
        inner = manual.section_of(field)
        if inner is not None:
            found |= settings(inner, f"{path}{key}.")
    return found


@pytest.mark.parametrize("key", settings())
def test_every_setting_says_what_it_means(key: str) -> None:
    assert settings()[key]


def test_the_sample_is_a_configuration_with_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "yizhan.toml"
    file.write_text(manual.sample(), encoding="utf-8")
    loaded = config_file.load(file)
    assert [door.tls for door in loaded.submission.listeners] == ["starttls", "implicit"]
    assert loaded.policy == config.Policy()
    assert loaded.submission.limits == config.Limits()
    assert loaded.receipts == config.Receipts()


def test_every_commented_line_of_the_sample_is_a_setting_with_its_default(tmp_path: Path) -> None:
    whole = re.sub(r"^#(?! )", "", manual.sample(), flags=re.M)
    file = tmp_path / "yizhan.toml"
    file.write_text(whole, encoding="utf-8")
    loaded = config_file.load(file)
    assert loaded.submission.limits == config.Limits()
    assert loaded.receipts == config.Receipts()
    assert loaded.reminders.model_copy(update={"spool": None}) == config.Reminders()
    data = tomllib.loads(whole)
    for key in settings():
        place: object = data
        for step in key.split("."):
            place = place[0] if isinstance(place, list) else place
            assert isinstance(place, dict) and step in place, f"{key} is not in the sample"
            place = place[step]


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_command_says_what_it_does_and_gives_an_example_that_parses(name: str) -> None:
    command = manuals.command_tree()[name]
    assert command.help
    if getattr(command, "commands", None):
        return
    _, found, example = command.help.partition("Example: ")
    assert found, f"yizhan {name} --help has no example"
    called = list(manuals.calls(" ".join(example.split())))
    assert called
    for words in called:
        assert " ".join(words).startswith(name)
        manuals.parse(words)


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_option_and_argument_says_what_it_means(name: str) -> None:
    silent = [
        parameter.name
        for parameter in manuals.command_tree()[name].params
        if not getattr(parameter, "help", None) and parameter.name != "help"
    ]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_names_every_command_of_a_group(name: str) -> None:
    inner = getattr(manuals.command_tree()[name], "commands", {})
    sentence = main.COMMANDS[name]
    if ":" in sentence:
        named = re.findall(r"[a-z-]+", sentence.partition(":")[2])
        assert [one for one in inner if one not in named] == []


@pytest.mark.parametrize("page", manuals.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in manuals.links(page):
        name, _, place = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name}: {target}"
        if place:
            assert place in manuals.anchors(other), f"{page.name}: {target}"


def test_the_map_names_every_page() -> None:
    named = {target.partition("#")[0] for target in manuals.links(DOCS / "README.md")}
    there = {path.name for path in DOCS.iterdir()} - {"README.md"}
    assert there - named == set()


@pytest.mark.parametrize("page", manuals.PAGES, ids=lambda page: page.name)
def test_what_a_page_tells_to_type_can_be_typed(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for command in manuals.console_commands(page):
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)
        if command.startswith("make "):
            assert command.split()[1] in targets
        for words in manuals.calls(command):
            manuals.parse(words)
    for command in manuals.bare_calls(page):
        for words in manuals.calls(command):
            manuals.parse(words)


@pytest.mark.parametrize("page", manuals.PAGES, ids=lambda page: page.name)
def test_commands_named_in_a_sentence_exist(page: Path) -> None:
    tree = manuals.command_tree()
    for quoted in re.findall(r"`yizhan ([a-z][^`]*)`", manuals.prose(page)):
        path = ""
        for word in quoted.split():
            choices = [f"{path} {one}".strip() for one in word.split("|")]
            if path and isinstance(tree[path], FolderGroup) and choices[0] not in tree:
                path = f"{path} {next(iter(tree[path].commands))}"  # `backup DIR`
                break
            if path and not getattr(tree[path], "commands", None):
                break
            assert all(one in tree for one in choices), f"{page.name}: yizhan {quoted}"
            path = choices[0]
        options = re.findall(r"(?<=\s)--[a-z-]+", quoted)
        known = [name for one in tree[path].params for name in (*one.opts, *one.secondary_opts)]
        assert [one for one in options if one not in (*known, "--help")] == []


@pytest.mark.parametrize("page", manuals.PAGES, ids=lambda page: page.name)
def test_settings_named_in_a_sentence_exist(page: Path) -> None:
    known = settings()
    sections = "|".join(key for key in Config.model_fields)
    quoted = re.findall(rf"`((?:{sections})\.[a-z_.]+)`", manuals.prose(page))
    files = (".md", ".toml", ".py", ".crt", ".key")
    assert [one for one in quoted if not one.endswith(files) and one not in known] == []


def test_metrics_checks_and_kill_points_are_documented() -> None:
    metrics, policy, durability = (
        (DOCS / name).read_text(encoding="utf-8")
        for name in ("metrics.md", "policy.md", "durability.md")
    )
    assert [m.name for m in METRICS if f"`{m.name}`" not in metrics] == []
    assert [c.name for c in CHECKS if f"`{c.name}`" not in policy] == []
    assert [point for point in POINTS if f"`{point}`" not in durability] == []


def test_the_columns_of_the_csv_file_are_documented_and_the_sample_has_known_ones() -> None:
    operation = (DOCS / "operation.md").read_text(encoding="utf-8")
    assert [c for c in COLUMNS if f"`{c}`" not in operation] == []
    assert [title for title in COLUMNS.values() if title not in operation] == []
    assert read((DOCS / "directory.sample.csv").read_bytes())


def test_both_readmes_tell_to_type_the_same() -> None:
    def typed(name: str) -> list[str]:
        return [c.partition("#")[0].strip() for c in manuals.console_commands(ROOT / name)]

    assert typed("README.md") == typed("README.zh-CN.md")
