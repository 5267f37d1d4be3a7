"""Errors: a person outside learns what to do, and nothing of what is inside."""

from __future__ import annotations

import pytest

from gateway import errors
from gateway.errors import (
    CommandError,
    CommitUnknown,
    ConfigurationError,
    Deferred,
    Refused,
    StoreUnavailable,
    StoreUnusable,
    YizhanError,
    as_reply,
)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("secret"),
        ValueError("secret"),
        MemoryError("secret"),
        StoreUnavailable("secret", cause="/var/lib/yizhan"),
        CommitUnknown("secret", cause="disk I/O error"),
        StoreUnusable("secret"),
        ConfigurationError("secret"),
        CommandError("secret"),
        YizhanError("secret"),
    ],
)
def test_what_we_do_not_know_is_temporary_and_says_nothing_internal(error: Exception) -> None:
    reply = as_reply(error)
    assert 400 <= reply.code < 500
    assert reply.enhanced.startswith("4.")
    assert "secret" not in str(reply) + reply.text_zh
    assert "/var" not in str(reply) + reply.text_zh
    assert reply.text.isascii()
    assert reply.text_zh


def test_a_commit_in_doubt_is_451_and_a_full_store_452() -> None:
    assert as_reply(CommitUnknown("x")).code == 451
    assert as_reply(StoreUnavailable("x")).code == 452


def test_a_refusal_is_permanent_and_a_deferral_temporary() -> None:
    refused = Refused("No such unit", zh="没有此单位", code=550, enhanced="5.1.1")
    assert str(as_reply(refused)) == "550 5.1.1 No such unit"
    assert as_reply(Deferred("Later", zh="稍后")).code == 451


def test_the_private_cause_is_for_the_log_only() -> None:
    error = Refused("No", cause="rule marking")
    assert str(error) == "No (rule marking)"
    assert str(as_reply(error)) == "550 5.7.1 No"


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = errors.__doc__ or ""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, YizhanError):
            assert f" {name} " in drawn or f"{name} " in drawn
