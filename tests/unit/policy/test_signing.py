"""The words in policies/signing.toml do what their own table of cases says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import resources
from gateway.domain.states import Act
from gateway.errors import ConfigurationError
from gateway.policy import signing
from gateway.policy.command import (
    REASON_LENGTH,
    Command,
    own_lines,
    read_command,
    run_signing_cases,
)

SHIPPED = signing.load()


@pytest.mark.parametrize("case", SHIPPED.case, ids=lambda case: case.text.replace("\n", "|"))
def test_each_case_of_the_shipped_file_holds(case: signing.Case) -> None:
    found = read_command(own_lines(case.text), SHIPPED)
    wanted = None if case.act is None else Command(case.act, case.name, case.reason)
    assert found == wanted


def test_the_cases_of_a_changed_file_are_tried_by_the_command(tmp_path: Path) -> None:
    text = (resources.folder("policies") / signing.FILE_NAME).read_text(encoding="utf-8")
    own = tmp_path / signing.FILE_NAME
    own.write_text(text.replace('"已收悉"]', "]", 1).replace('"收到", ', "", 1), encoding="utf-8")
    failed = [one for one in run_signing_cases(signing.load(tmp_path)) if one.faults]
    assert [one.file for one in failed] == [signing.FILE_NAME]
    assert not [one for one in run_signing_cases(SHIPPED) if one.faults]


@pytest.mark.parametrize("word", sorted({*SHIPPED.sign, *SHIPPED.returning}))
def test_every_word_of_the_file_is_a_command_alone(word: str) -> None:
    found = read_command([word], SHIPPED)
    assert found is not None
    assert found.act is (Act.SIGN_FOR if word in SHIPPED.sign else Act.RETURN)


def test_a_signature_without_a_mark_may_stand_below_the_word() -> None:
    own = own_lines("签收\n\n李娜\n水务局\n")
    assert read_command(own, SHIPPED) is None
    assert read_command(own, SHIPPED, known=("李娜", "水务局")) == Command(Act.SIGN_FOR)


def test_a_reason_is_cut_and_on_one_line() -> None:
    found = read_command(own_lines("退文：" + "缺\t附件 " * 1000), SHIPPED)
    assert found is not None
    assert len(found.reason) <= REASON_LENGTH and found.reason.isprintable()


@pytest.mark.parametrize(
    "text", ["", "\n\n", ">\n>\n", "-- \n签收", "____\n签收", "\0\n", "在写道：\n签收", "签收" * 99]
)
def test_what_is_not_surely_a_command_is_none(text: str) -> None:
    assert read_command(own_lines(text), SHIPPED) is None


def test_a_folded_attribution_ends_the_own_lines() -> None:
    said = "On Sat, 21 Nov 2026 at 17:55, office of the district\n<office@heping.test> wrote:"
    text = f"签收\n\n{said}\n\n请"
    assert own_lines(text) == ["签收"]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('wait_in = "inbox"', 'wait_in = "desk"', "wait_in"),
        ("automatic_seconds = 5", "automatic_seconds = -1", "automatic_seconds"),
        ("address_days = 366", "address_days = 0", "address_days"),
        ('shared = "opened"', 'shared = "signed"', "read_receipt.shared"),
        ('sign = ["签收"', 'sing = ["签收"', "sing"),
        ('language = "zh-CN"', 'language = "zh-CN', "TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, old: str, new: str, names: str
) -> None:
    text = (resources.folder("policies") / signing.FILE_NAME).read_text(encoding="utf-8")
    own = tmp_path / signing.FILE_NAME
    own.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        signing.load(tmp_path)
    assert str(own) in error.value.public and names in error.value.public


def test_an_office_without_a_file_of_its_own_has_ours(tmp_path: Path) -> None:
    assert signing.load(tmp_path) == SHIPPED


def test_a_reload_replaces_the_choices_in_force() -> None:
    live = signing.LiveSigning(SHIPPED)
    other = SHIPPED.model_copy(update={"automatic_seconds": 9.0})
    live.adopt(other)
    assert live.now is other
