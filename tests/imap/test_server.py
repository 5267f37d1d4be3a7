"""The IMAP door answers what Dovecot answers about the same mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.imap import dovecot as reference
from tests.imap import questions
from tests.imap.client import Client
from tests.imap.compare import Mailbox, compare
from tests.imap.generator import Mail
from tests.office import Office

LOGIN = "office"
GENERATED = 150  # mails beside the samples


@pytest.fixture(scope="module")
def some_mails(sample_mails: list[Mail], generated_mails: list[Mail]) -> list[Mail]:
    """Each search of Dovecot reads every mail again, so these are fewer."""
    return sample_mails[::3] + generated_mails[:GENERATED]


@pytest.fixture(scope="module")
def reference_mailbox(dovecot: reference.Dovecot, some_mails: list[Mail]) -> Iterator[Mailbox]:
    """They lie in a Dovecot."""
    with reference.running() as server, Client(server.port) as client:
        mailbox = Mailbox(client, server.user, server.password)
        mailbox.fill(some_mails)
        yield mailbox
        client.run("LOGOUT")


@pytest.fixture(scope="module")
def our_mailbox(
    make_module_office: Callable[..., Office], some_mails: list[Mail]
) -> Iterator[Mailbox]:
    """They lie in an office."""
    with (
        make_module_office().running() as office,
        Client(office.imaps_port, office.trust) as client,
    ):
        mailbox = Mailbox(client, LOGIN, office.accounts[LOGIN]["password"])
        mailbox.fill(some_mails)
        yield mailbox
        client.run("LOGOUT")


def test_what_is_fetched_differs_only_for_a_reason(
    our_mailbox: Mailbox, reference_mailbox: Mailbox, some_mails: list[Mail]
) -> None:
    report = compare(our_mailbox, reference_mailbox, some_mails)
    assert not report.faults, str(report)


def test_what_is_found_sorted_and_threaded_differs_only_for_a_reason(
    our_mailbox: Mailbox, reference_mailbox: Mailbox, some_mails: list[Mail]
) -> None:
    report = questions.ask(our_mailbox, reference_mailbox, some_mails)
    assert not report.faults, str(report)
