"""ENVELOPE, BODYSTRUCTURE and the sections of mail are what Dovecot makes of the same mail."""

from __future__ import annotations

from tests.imap.compare import Mailbox, Modules, compare
from tests.imap.generator import Mail, mail


def test_structures_and_sections_differ_only_for_a_reason(
    all_mails: list[Mail], theirs: Mailbox
) -> None:
    report = compare(Modules(), theirs, all_mails)
    assert not report.faults, str(report)
    assert report.compared > 10 * len(all_mails)


def test_generated_mail_is_the_same_each_time() -> None:
    assert mail(7, 3) == mail(7, 3)
    assert mail(7, 3) != mail(7, 4)
    assert b"\0" not in b"".join(mail(7, number).octets for number in range(100))
