"""What is remembered of header fields, and that it is forgotten."""

from __future__ import annotations

from mailboxes import addresses, decode, parameters, remembered


def test_it_remembers_and_forgets() -> None:
    calls: list[str] = []

    @remembered.remembered(2)
    def shout(word: str) -> str:
        calls.append(word)
        return word.upper()

    assert [shout("a"), shout("b"), shout("a")] == ["A", "B", "A"]
    assert calls == ["a", "b"]
    remembered.forget()
    assert shout("a") == "A"
    assert calls == ["a", "b", "a"]


def test_all_that_reads_header_fields_forgets() -> None:
    decode.decode_text("绝密计划".encode())
    addresses.take_apart("张三 <zhang@heping.test>")
    parameters.take_apart('application/pdf; name="机密.pdf"'.encode())
    assert sum(one.cache_info().currsize for one in remembered._ALL) >= 3
    remembered.forget()
    assert [one.cache_info().currsize for one in remembered._ALL] == [0] * len(remembered._ALL)
