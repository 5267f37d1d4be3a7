"""What a verdict says to people, in each language, from `templates/<language>/verdicts.toml`.

A file has three tables: `sentences` (one for each refusal and deferral: what is wrong and what to
do), `warnings` (one for each warning of a receipt) and `words` (how the words of facts are said).
`{fact}` in a sentence stands for a quotable fact.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.policy.facts import Fact, Facts, Value
from gateway.policy.rules import read_toml

LANGUAGES = ("zh-CN", "en")
FILE = "verdicts.toml"

# A reply line is at most 512 octets (RFC 5321, 4.5.3.1.5); codes and a relay's additions need room.
REPLY_OCTETS = 380
_SHOWN = 3
_LONGEST_WORD = 40
_MORE = {"zh-CN": "等{n}个", "en": " and {n} more"}
_JOIN = {"zh-CN": "、", "en": ", "}


@dataclass(frozen=True, slots=True)
class _Language:
    sentences: Mapping[str, str]
    warnings: Mapping[str, str]
    words: Mapping[str, str]


class Sentences:
    """The sentences of all languages, checked against each other and against the facts."""

    def __init__(self, folder: Path, known: Mapping[str, Fact]) -> None:
        """Read the files under that folder of templates.

        Raises ConfigurationError with file and key for everything that is wrong.
        """
        faults: list[str] = []
        self._languages = {
            language: _read(folder / language / FILE, language, known, faults)
            for language in LANGUAGES
        }
        self._folder = folder
        every = self._languages.values()
        faults += self.missing(
            dict.fromkeys(key for language in every for key in language.sentences),
            dict.fromkeys(key for language in every for key in language.warnings),
        )
        if faults:
            raise ConfigurationError("\n".join(faults))

    def sentence_keys(self) -> tuple[str, ...]:
        """The sentences that every language has."""
        return tuple(self._languages["en"].sentences)

    def warning_keys(self) -> tuple[str, ...]:
        """The warnings that every language has."""
        return tuple(self._languages["en"].warnings)

    def missing(self, sentences: Iterable[str], warnings: Iterable[str]) -> list[str]:
        """One fault for each of these that a language lacks."""
        wanted = [("sentences", key) for key in sentences] + [("warnings", key) for key in warnings]
        return [
            f"{self._folder / name / FILE}: {table}.{key}: this sentence is missing"
            for name, language in self._languages.items()
            for table, key in wanted
            if key not in (language.sentences if table == "sentences" else language.warnings)
        ]

    def say(self, key: str, facts: Facts) -> tuple[tuple[str, str], ...]:
        """The sentence in every language, with the facts filled in."""
        return tuple(
            (name, _fill(name, language, language.sentences[key], facts))
            for name, language in self._languages.items()
        )

    def warning(self, language: str, key: str) -> str:
        """The text of a warning, for receipts; the key itself if nobody has worded it."""
        known = self._languages.get(language, self._languages["en"])
        return known.warnings.get(key, key)


def _fill(name: str, language: _Language, sentence: str, facts: Facts) -> str:
    spoken = {
        field: _spoken(name, language, facts.get(field))
        for _, field, _, _ in string.Formatter().parse(sentence)
        if field
    }
    text = sentence.format_map(spoken)
    return _ascii(text)[:REPLY_OCTETS] if name == "en" else _cut(text)


def _spoken(name: str, language: _Language, value: Value | None) -> str:
    if isinstance(value, tuple):
        shown = _JOIN[name].join(_word(language, word) for word in value[:_SHOWN])
        rest = len(value) - _SHOWN
        return shown + (_MORE[name].format(n=rest if name == "en" else len(value)) * (rest > 0))
    return "" if value is None else _word(language, str(value))


def _word(language: _Language, word: str) -> str:
    said = language.words.get(word, word)
    # Addresses and scanner names come from outside: a CR would begin a second reply line.
    return "".join(sign for sign in said if sign.isprintable())[:_LONGEST_WORD]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _cut(text: str) -> str:
    return text.encode("utf-8")[:REPLY_OCTETS].decode("utf-8", "ignore")


def _read(path: Path, language: str, known: Mapping[str, Fact], faults: list[str]) -> _Language:
    data = read_toml(path)
    tables: dict[str, dict[str, str]] = {"sentences": {}, "warnings": {}, "words": {}}
    for name, table in data.items():
        if name not in tables or not isinstance(table, dict):
            faults.append(f"{path}: {name}: there is no such table")
            continue
        for key, text in table.items():
            if not isinstance(text, str) or not text or not text.isprintable():
                faults.append(f"{path}: {name}.{key}: write one line of text")
                continue
            tables[name][key] = text
            if name == "sentences":
                faults += [f"{path}: {name}.{key}: {fault}" for fault in _holes(text, known)]
            if language == "en" and not text.isascii():
                faults.append(f"{path}: {name}.{key}: a reply in English is ASCII")
    return _Language(tables["sentences"], tables["warnings"], tables["words"])


def _holes(text: str, known: Mapping[str, Fact]) -> list[str]:
    """What is wrong with the `{facts}` of a sentence."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
    except ValueError as error:
        return [str(error)]
    return [
        f"{{{field}}} is not a fact that may be quoted"
        for field in fields
        if field not in known or not known[field].quotable
    ]
