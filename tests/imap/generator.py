"""Mails without number, the sound and the broken, each the same whenever it is made again.

A mail is made from its seed and number alone, so that one that fails can be made without the
others. No NUL: neither IMAP nor the door lets one in.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tests.corpus import samples
from tests.fuzz.mutations import MIME_PIECES, Change, apply
from tests.imap import encodings, oddities

_T = TypeVar("_T")
_DEPTH = 5  # of parts in parts


@dataclass(frozen=True)
class Mail:
    """One mail, and how to make it again."""

    name: str
    octets: bytes


def mails(count: int, seed: int = 0) -> Iterator[Mail]:
    """So many mails of that seed."""
    for number in range(count):
        yield mail(seed, number)


def mail(seed: int, number: int) -> Mail:
    """The mail of that number."""
    octets = _Maker(Random(f"{seed}:{number}"), number).message().replace(b"\0", b"")
    return Mail(f"{seed}:{number}", octets or b"\r\n")  # APPEND takes no empty mail


class _Maker:
    """Writes one mail. A part of all mails is sound, some are a little odd, some very much so."""

    def __init__(self, random: Random, number: int) -> None:
        self._random = random
        self._number = number
        self._one_of = random.choice
        self._oddness = random.choice((0.0, 0.0, 0.02, 0.02, 0.1, 0.5))

    def _odd(self) -> bool:
        return self._random.random() < self._oddness

    def _pick(self, usual: Sequence[_T], odd: Sequence[_T]) -> _T:
        return self._one_of(odd if self._odd() else usual)

    def _sometimes(self, chance: float, make: Callable[[], bytes]) -> list[bytes]:
        return [make()] if self._random.random() < chance else []

    def message(self) -> bytes:
        octets = self._entity(0)
        if not self._odd():
            return octets
        match self._random.randrange(5):
            case 0:
                return self._damaged(octets)
            case 1:
                return self._damaged(self._one_of(_corpus()))
            case 2:
                return octets.replace(b"\r\n", b"\n")
            case 3:
                ends = (b"\r\n", b"\r\n", b"\r\n", b"\n")
                return b"".join(line + self._one_of(ends) for line in octets.split(b"\r\n"))
            case _:
                return octets[: self._random.randrange(len(octets) + 1)]

    def _damaged(self, octets: bytes) -> bytes:
        for _ in range(self._random.randint(1, 4)):
            kind = self._one_of(("cut", "double", "put", "over", "flip", "end"))
            length, piece = self._random.randint(1, 60), self._one_of(MIME_PIECES)
            octets = apply(octets, Change(kind, self._random.random(), length, piece))
        return octets

    # -- an entity

    def _entity(self, depth: int) -> bytes:
        """A header and a body: the message itself (depth 0), a part, or a message in a part."""
        fields = self._fields() if depth == 0 else []
        if self._odd():
            match self._random.randrange(4):
                case 0:
                    return _header(fields)  # no empty line and no body
                case 1:
                    return b"\r\n" + self._text_body("utf-8")  # no header
                case 2:
                    return b""
        kind = self._random.random()
        if depth < _DEPTH and kind < (0.55 if depth == 0 else 0.25):
            more, body = self._multipart(depth)
        elif depth < _DEPTH and kind < (0.65 if depth == 0 else 0.40):
            more, body = self._embedded(depth)
        else:
            more, body = self._leaf()
        fields += more
        if self._random.random() < 0.15:
            self._random.shuffle(fields)
        return _header(fields) + b"\r\n" + body

    def _multipart(self, depth: int) -> tuple[list[bytes], bytes]:
        usual = (
            f"=_{self._random.randrange(10**6)}",
            f"----=_NextPart_{depth:03}_0001",
            f"b {depth}",
        )
        boundary = self._pick(usual, oddities.BOUNDARIES).encode()
        subtype = self._pick(oddities.MULTIPARTS[:6], oddities.MULTIPARTS).encode()
        fields = [self._named(b"Content-Type", b"multipart/" + subtype + self._boundary(boundary))]
        fields += self._sometimes(0.1, self._encoding) if self._odd() else []
        fields += self._sometimes(0.2, self._disposition)
        fields += self._sometimes(0.2, self._languages)
        out = [self._pick((b"", b"", b"preamble\r\n", b"\r\n"), (b"--x\r\n", b"\n", b"--\r\n"))]
        for _ in range(self._pick((1, 1, 2, 2, 2, 3, 4), (0,))):
            out.append(
                b"--" + boundary + self._pick((b"", b"", b"", b" "), (b"\t", b" x", b"x", b"-"))
            )
            out.append(b"\r\n" + self._entity(depth + 1))
            out.append(self._pick((b"\r\n", b"\r\n", b"\r\n\r\n"), (b"", b"\n")))
        if not self._odd():
            line = b"\r\n--" + boundary
            usual_ends = (b"", b"\r\n", b"\r\nepilogue\r\n")
            odd_ends = (b" \r\n", b"x\r\n", line + b"\r\n\r\nx", line + b"--\r\n")
            out.append(b"--" + boundary + b"--" + self._pick(usual_ends, odd_ends))
        return fields, b"".join(out)

    def _boundary(self, boundary: bytes) -> bytes:
        """The parameter in one of its spellings."""
        quoted = b'"' + boundary + b'"'
        usual = (
            b"; boundary=" + quoted, b";\r\n\tboundary=" + quoted, b"; BOUNDARY=" + quoted,
            b"; boundary=" + quoted + b"; type=x", b'; x="a;b"; boundary=' + quoted,
        )  # fmt: skip
        odd = (
            b"; boundary=" + boundary, b";boundary = " + quoted, b"", b"; boundary=",
            b"; boundary=" + quoted + b"; boundary=other", b" boundary=" + quoted,
            b"; (note) boundary=" + quoted, b'; boundary="' + boundary,
            b"; boundary*0=" + quoted, b"; boundary*=utf-8''" + boundary, b";; boundary=" + quoted,
        )  # fmt: skip
        return self._pick(usual, odd)

    def _embedded(self, depth: int) -> tuple[list[bytes], bytes]:
        kind = self._pick(
            (b"message/rfc822", b"Message/RFC822"), (b"message/global", b"message/news")
        )
        fields = [self._named(b"Content-Type", kind + self._parameters())]
        if self._random.random() < 0.2:
            fields.append(
                self._named(b"Content-Transfer-Encoding", self._one_of((b"7bit", b"8bit")))
            )
        fields += [self._encoding()] if self._odd() else []
        fields += self._sometimes(0.3, self._disposition)
        return fields, (b"" if self._odd() else _header(self._fields())) + self._entity(depth + 1)

    def _leaf(self) -> tuple[list[bytes], bytes]:
        charset = self._one_of(oddities.CHARSETS)
        fields: list[bytes] = []
        if self._random.random() < 0.85:
            kind = self._pick((*oddities.TYPES[:3], *oddities.SOUND_TYPES), oddities.TYPES)
            parameters = self._parameters()
            if kind.startswith("text") and self._random.random() < 0.7:
                name = charset.encode()
                parameters += b"; charset=" + self._one_of((name, b'"' + name + b'"'))
            fields.append(self._named(b"Content-Type", kind.encode() + parameters))
        body = self._text_body(charset)
        if (fields and self._random.random() < 0.6) or self._odd():
            encoding = self._encoding()
            fields.append(encoding)
            body = encodings.encoded(body, encoding.partition(b":")[2].strip().lower())
        if fields or self._odd():
            fields += self._sometimes(0.3, self._disposition)
            fields += self._sometimes(0.1, self._languages)
            for name in (
                b"Content-ID",
                b"Content-MD5",
                b"Content-Location",
                b"Content-Description",
            ):
                fields += self._sometimes(
                    0.15, lambda name=name: self._named(name, self._text_value())
                )
        return fields, body

    def _text_body(self, charset: str) -> bytes:
        kind = self._random.randrange(12)
        if kind == 0:
            return b""
        if kind == 1:
            return b"x" * self._one_of((997, 998, 999, 5_000, 70_000)) + b"\r\n"
        lines = [self._text(charset, 12) for _ in range(self._random.randint(1, 6))]
        lines = [self._one_of((b"", b"", b"", b">", b".", b"From ", b" ")) + line for line in lines]
        return b"\r\n".join(lines) + self._one_of((b"", b"\r\n", b"\r\n", b"\r\n\r\n"))

    def _text(self, charset: str, words: int) -> bytes:
        chosen = [self._one_of(oddities.WORDS) for _ in range(self._random.randint(1, words))]
        return encodings.octets(self._one_of(("", " ")).join(chosen), charset).strip() or b"x"

    # -- fields of a message

    def _fields(self) -> list[bytes]:
        fields: list[bytes] = []
        for name, chance in oddities.PEOPLE:
            fields += self._sometimes(
                chance, lambda name=name: self._named(name, self._addresses())
            )
            if self._odd():
                fields.append(self._named(name, self._addresses()))
        fields += self._sometimes(0.95, lambda: self._named(b"Subject", self._text_value()))
        fields += self._sometimes(0.9, lambda: self._named(b"Date", self._date()))
        fields += self._sometimes(0.8, lambda: self._named(b"Message-ID", self._own_id()))
        if _line(self._number) or self._odd():
            fields += self._sometimes(0.8, lambda: self._named(b"In-Reply-To", self._ids(1)))
            fields += self._sometimes(0.8, lambda: self._named(b"References", self._ids(4)))
        fields += self._sometimes(0.5, lambda: b"MIME-Version: 1.0")
        fields += self._sometimes(0.2, lambda: b"X-Long: " + b"y" * self._one_of((200, 2_000)))
        fields += [self._junk()] if self._odd() else []
        return fields

    def _date(self) -> bytes:
        return self._pick(oddities.DATES[:8], oddities.DATES).encode()

    def _junk(self) -> bytes:
        return self._one_of(oddities.JUNK)

    def _named(self, name: bytes, value: bytes) -> bytes:
        """A field; its name in some case, its value behind some white space."""
        name = self._pick((name, name, name, name.lower()), (name.upper(),))
        colon = self._pick((b":",), (b" :",))
        blank = self._pick((b" ",), (b"", b"\t", b"  ", b"\r\n ", b"\r\n\t"))
        behind = self._pick((b"",), (b" ", b"\t", b"\r\n "))
        return name + colon + blank + value + behind

    def _text_value(self) -> bytes:
        return self._odd_text() if self._odd() else self._sound_text()

    def _sound_text(self) -> bytes:
        charset = self._one_of(oddities.CHARSETS)
        raw = self._text(charset, 8)
        match self._random.randrange(6):
            case 0:
                return b'plain "text" (and more)'
            case 1:
                return b"long" + self._one_of((b"\r\n ", b"\r\n\t")) + b"and folded"
            case 2:
                return self._split_words(raw, charset, self._one_of((b"\r\n ", b"\r\n\t", b" ")))
            case _:
                return encodings.word(raw, charset, self._one_of("bqBQ"))

    def _odd_text(self) -> bytes:
        charset = self._one_of(oddities.CHARSETS)
        raw = self._text(charset, 8)
        match self._random.randrange(7):
            case 0 | 1:
                return raw
            case 2:
                return b""
            case 3:
                return b"plain " + self._one_of((b"\r\n ", b"\r\n\t", b"\r\n  \t ")) + b"and folded"
            case 4:
                return b'"quoted \\" text" (and (a) comment'
            case 5:
                return self._split_words(raw, charset, b"")
            case _:
                return b"=?x-odd?B?" + base64.b64encode(raw) + b"?="

    def _split_words(self, raw: bytes, charset: str, between: bytes) -> bytes:
        """Encoded words that are cut wherever it happens, also within a letter."""
        at, way = self._random.randrange(len(raw) + 1), self._one_of("bq")
        return between.join(encodings.word(piece, charset, way) for piece in (raw[:at], raw[at:]))

    def _own_id(self) -> bytes:
        return self._pick((f"<{self._number}@heping.test>",), oddities.IDS).encode()

    def _ids(self, most: int) -> bytes:
        """Of what it answers, the last one last; of any others, if it is odd."""
        line = _line(self._number)[-most:] or [self._number // 2]
        chosen = [
            self._pick(
                (f"<{number}@heping.test>",), (f"<{self._number + 1}@heping.test>", *oddities.IDS)
            )
            for number in line
        ]
        return self._pick((" ", "\r\n "), ("\r\n\t", "")).join(chosen).encode()

    # -- addresses

    def _addresses(self) -> bytes:
        chosen = [self._address() for _ in range(self._pick((1, 1, 1, 1, 2, 2, 3), (0,)))]
        between = self._pick((b", ", b",\r\n\t", b","), (b" , ", b"; ", b" ", b", , "))
        text = between.join(chosen)
        match self._random.randrange(12):
            case 0:
                return b"Group: " + text + b";"
            case 1:
                return encodings.word("收件人".encode(), "utf-8", "b") + b":;"
            case 2 if self._odd():
                return b"a: " + text + b"; b:;, " + self._address()
            case 3 if self._odd():
                return b"open: " + text
            case 4 if self._odd():
                return text + b","
        return text

    def _address(self) -> bytes:
        local, host = (
            self._pick(oddities.LOCALS[:5], oddities.LOCALS),
            self._pick(oddities.HOSTS[:3], oddities.HOSTS),
        )
        spec = f"{local}@{host}".encode()
        word = encodings.word(self._text("gb18030", 3), "gb18030", self._one_of("bq"))
        if not self._odd():
            return self._one_of((
                spec, b"<" + spec + b">", word + b" <" + spec + b">", b"Water <" + spec + b">",
                b'"Li, Ming" <' + spec + b">", b'"' + word + b'" <' + spec + b">",
                spec + b" (Li Ming)", b'"a \\"b\\" c" <' + spec + b">", b'"a b"@x.test',
            ))  # fmt: skip
        name = self._odd_text()
        return self._one_of((
            name + b" <" + spec + b">", name + b" <" + spec + b">", name + b"<" + spec + b">",
            b'"' + name.replace(b'"', b"") + b'" <' + spec + b">", spec + b" (" + name + b")",
            b"<@a,@b:" + spec + b">", b"<>", b"nobody", name, b"Bureau <nobody>", b"Two Words",
            b"<" + spec, spec + b">", b"Water Bureau Office <" + spec + b"> rest",
            b"a@b@c", b"(c1) a (c2) @ (c3) x (c4)", b"o. o @ x . y", b"<" + spec + b" (c)>",
            b"A.B. Dot <" + spec + b">", b"'" + spec + b"'", b"@x", b"a@", b"a b c@x", b"..a@x",
        ))  # fmt: skip

    # -- fields of a part

    def _parameters(self) -> bytes:
        return b"".join(self._parameter() for _ in range(self._one_of((0, 0, 1, 1, 2))))

    def _parameter(self) -> bytes:
        name = self._one_of((b"name", b"name", b"filename", b"x", b"X", b"format", b"type"))
        name += str(self._random.randrange(1000)).encode() if self._random.random() < 0.6 else b""
        raw = self._text(self._one_of(oddities.CHARSETS), 3).replace(b'"', b"")
        separator = self._pick((b"; ", b"; ", b";\r\n\t"), (b";", b" ; ", b";\r\n ", b";;"))
        percent = b"".join(b"%%%02X" % octet for octet in raw)
        at = self._random.randrange(len(raw) + 1)
        usual = (
            name + b"=flowed", name + b'="' + encodings.octets("附件", "utf-8") + b'.doc"',
            name + b'="' + encodings.word(raw, "gb2312", "b") + b'"', name + b"*=utf-8''" + percent,
            name + b'*0="a";' + name + b'*1="b"',
            name + b"*0*=gbk''" + percent[: at * 3] + b"; " + name + b"*1*=" + percent[at * 3 :],
        )  # fmt: skip
        odd = (
            name + b'="' + raw + b'"', name + b"=" + raw,
            name + b'*0="' + raw[:at] + b'"' + separator + name + b'*1="' + raw[at:] + b'"',
            name + b"*0*=gbk''" + percent + separator + name + b'*1="tail 100%"',
            name, name + b"=", name + b'=""', name + b' = "a\\"b\\\\c"', b"=x", b"",
            name + b'="open',
            name + b"=a b.doc", name + b"=plan (1).doc", name + b"=a/b=c", name + b'="a"b',
            name + b"=(c) v (d)", name + b'*1="one"', name + b"=<x@y>", name + b'="a\r\n\tb"',
        )  # fmt: skip
        return separator + self._pick(usual, odd)

    def _encoding(self) -> bytes:
        value = self._pick(oddities.ENCODINGS[:5], oddities.ENCODINGS)
        return self._named(b"Content-Transfer-Encoding", value.encode())

    def _disposition(self) -> bytes:
        kind = self._pick((b"attachment", b"inline", b"Attachment"), (b"x-odd", b"", b"form-data"))
        return self._named(b"Content-Disposition", kind + self._parameters())

    def _languages(self) -> bytes:
        odd = (b"zh,,en", b"", b"zh (Chinese)", b'"zh"', b"a b")
        return self._named(b"Content-Language", self._pick((b"zh", b"zh-CN, en"), odd))


def _line(number: int) -> list[int]:
    """The numbers of the mails that a mail answers, the first one first."""
    line: list[int] = []
    while number % 3 and len(line) < 20:
        number -= number * 7 % 11 + 1
        if number < 0:
            break
        line.insert(0, number)
    return line


def _header(fields: list[bytes]) -> bytes:
    return b"".join(field + b"\r\n" for field in fields)


_SAMPLES: list[bytes] = []


def _corpus() -> list[bytes]:
    if not _SAMPLES:
        _SAMPLES.extend(sample.octets for sample in samples() if len(sample.octets) < 20_000)
    return _SAMPLES
