"""THREAD and base subjects, by the rules and examples of RFC 5256."""

from __future__ import annotations

import time

import pytest

from mailboxes.imap import threads
from mailboxes.imap.facts import Facts, base_subject, message_ids


def post(
    number: int, own: str = "", *references: str, subject: str = "", sent: float = 0
) -> threads.Post:
    base, is_reply = base_subject(subject)
    facts = Facts(
        day=None, sent=sent or number, subject=base.upper(), is_reply=is_reply, from_="", to="",
        cc="", shown_from="", shown_to="", message_id=own, references=references,
    )  # fmt: skip
    return threads.Post(number, sent or number, facts)


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("Re: a", "a", True), ("a", "a", False), ("RE: FW: Fwd: a", "a", True), ("", "", False),
        ("Re[2]: a", "a", True), ("a (fwd)", "a", True), ("[list] Re: a", "a", True),
        ("[a] b", "b", False), ("[a]", "[a]", False), ("[Fwd: a]", "a", True),
        ("[fwd: Re: a ]  (FWD)", "a", True), ("  a \t b ", "a b", False), ("Re:", "", True),
        ("Report: a", "Report: a", False), ("re : a", "a", True), ("[a][b] re: c", "c", True),
        ("re: [x] fw: [y]", "[y]", True), ("关于防汛", "关于防汛", False),
    ],
)  # fmt: skip
def test_base_subjects(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@pytest.mark.parametrize("piece", ["[a]", "(fwd)", "re: ", "[fwd: ", "[", "re[", "(fwd) x "])
def test_a_subject_without_end_takes_no_time_without_end(piece: str) -> None:
    """Each of these was looked through once for each of its pieces."""
    subject = piece * (1_000_000 // len(piece)) + "x"
    base, _ = base_subject(subject)
    assert len(base) <= 2_000


def test_message_ids_are_what_stands_in_angle_brackets() -> None:
    assert message_ids('<a@b> c < d@e ><"f"@g> <a@b> <>') == ("a@b", "d@e", "f@g")
    assert message_ids('<a"b@c> <d@e> < > <f <g@h>') == ("d@e", "g@h")


@pytest.mark.parametrize("unit", ["<", " ", '<"', '<"\\"', '<\\"', '"', "<a@b>", '<"a"', "\r\n "])
def test_no_field_of_references_holds_up_all_others(unit: str) -> None:
    """One `<` and 65,000 blanks took a minute, in which no other client heard a word."""
    begun = time.perf_counter()
    message_ids("<" + unit * (65_536 // len(unit)))
    assert time.perf_counter() - begun < 2


def test_references_make_a_tree_with_places_for_what_is_missing() -> None:
    posts = [post(2, "b", "a"), post(3, "c", "a", "b"), post(4, "d", "a"), post(5, "e", "x", "y")]
    assert threads.by_references(posts) == b"((2 3)(4))(5)"
    assert threads.by_references([post(1, "a"), *posts]) == b"(1 (2 3)(4))(5)"


def test_two_that_answer_a_missing_one_are_side_by_side() -> None:
    assert threads.by_references([post(3, "c", "a"), post(6, "d", "a")]) == b"((3)(6))"


def test_a_long_chain_needs_no_deep_stack() -> None:
    posts = [post(1, "m1")]
    posts += [
        post(n, f"m{n}", *(f"m{m}" for m in range(max(1, n - 9), n))) for n in range(2, 5_000)
    ]
    wanted = " ".join(str(n) for n in range(1, 5_000))
    assert threads.by_references(posts) == f"({wanted})".encode()


def test_circles_of_references_are_broken() -> None:
    posts = [post(1, "a", "b"), post(2, "b", "a"), post(3, "c", "c"), post(4, "d", "d", "d")]
    drawn = threads.by_references(posts)
    assert sorted(int(n) for n in drawn.replace(b"(", b" ").replace(b")", b" ").split()) == [
        1, 2, 3, 4,
    ]  # fmt: skip


def test_the_same_id_twice_is_two_messages() -> None:
    drawn = threads.by_references([post(1, "a"), post(2, "a"), post(3, "c", "a")])
    assert drawn == b"(1 3)(2)"


def test_threads_of_one_subject_are_gathered() -> None:
    posts = [post(1, "a", subject="x"), post(2, "b", subject="Re: x"), post(3, "c", subject="y")]
    assert threads.by_references(posts) == b"(1 2)(3)"
    posts = [post(1, "a", subject="x"), post(2, "b", subject="x"), post(3, "c", subject="Re: x")]
    assert threads.by_references(posts) == b"((1)(2)(3))"
    posts = [post(1, "a", subject="Re: x"), post(2, "b", subject="x", sent=9)]
    assert threads.by_references(posts) == b"(2 1)"


def test_ordered_subject() -> None:
    """RFC 5256, 3: by subject, then by date; the first is the parent of all the others."""
    posts = [
        post(1, subject="b", sent=5), post(2, subject="a", sent=2),
        post(3, subject="Re: b", sent=3),
        post(4, subject="a", sent=9), post(5, subject="RE: B", sent=7), post(6, subject="", sent=1),
    ]  # fmt: skip
    assert threads.by_subject(posts) == b"(6)(2 4)(3 (1)(5))"
    assert threads.by_subject([]) == b""
