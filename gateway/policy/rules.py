"""Rules as data: the TOML files of a policy, read in order, every key and word of them checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from gateway.domain.document import MessageClass, SealRule
from gateway.domain.event import Reason
from gateway.errors import ConfigurationError
from gateway.policy.condition import Condition, InvalidRule, read_condition
from gateway.policy.facts import Fact, Facts

RULE_FILES = "[0-9][0-9]-*.toml"


class Decides(StrEnum):
    """What the rules of one file decide."""

    REFUSAL = "refusal"  # the first that matches refuses, defers or lets pass
    CLASS = "class"  # the first that matches gives the class and the seal rule
    WARNINGS = "warnings"  # each that matches adds its warning


class Obstacle(NamedTuple):
    """The condition for which a rule does not match."""

    condition: Condition
    wanted: bool  # it should hold, and does not

    @property
    def sentence(self) -> str:
        """The same for people."""
        return f"{'not so' if self.wanted else 'except'}: {self.condition.text}"


@dataclass(frozen=True, slots=True)
class Rule:
    """All of `when` and none of `unless`: then this."""

    name: str
    about: str
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    refuse: Reason | None = None
    defer: bool = False
    alert_security: bool = False
    sentence: str = ""
    message_class: MessageClass = MessageClass.MAIL
    seal_rule: SealRule = SealRule.NONE
    warn: str = ""

    def blocked_by(self, facts: Facts) -> Obstacle | None:
        """Why the rule does not match; None if it matches."""
        for condition in self.when:
            if not condition.holds(facts):
                return Obstacle(condition, wanted=True)
        for condition in self.unless:
            if condition.holds(facts):
                return Obstacle(condition, wanted=False)
        return None

    def outcome(self, decides: Decides) -> str:
        """What the rule does, in words, where its file decides that."""
        match decides:
            case Decides.CLASS:
                return f"class {self.message_class.value}, seal: {self.seal_rule.value}"
            case Decides.WARNINGS:
                return f"warn {self.warn}"
        if self.refuse is not None:
            told = ", tell the security officer" if self.alert_security else ""
            return f"refuse {self.refuse.value}{told}"
        return "defer" if self.defer else "pass"


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file: rules that decide one thing, in order."""

    path: Path
    decides: Decides
    rules: tuple[Rule, ...]
    octets: bytes = b""  # of the file, for the version of the policy


def read_rules(directory: Path, known: Mapping[str, Fact]) -> tuple[RuleFile, ...]:
    """All rule files of a folder, in the order of their names.

    Raises ConfigurationError with one sentence for each fault: file, rule, key.
    """
    paths = [p for p in sorted(directory.glob(RULE_FILES)) if not p.name.endswith(".cases.toml")]
    if not paths:
        raise ConfigurationError(f"{directory}: no rule files, such as 10-refusals.toml, are here")
    faults: list[str] = []
    files = [_read_file(path, known, faults) for path in paths]
    names = [(rule.name, file.path) for file in files for rule in file.rules]
    first: dict[str, Path] = {}
    for name, path in names:
        if name in first:
            faults.append(
                f"{path}: rule {name}: {first[name].name} has a rule of that name already"
            )
        first.setdefault(name, path)
    if faults:
        raise ConfigurationError("\n".join(faults))
    return tuple(files)


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a file.

    Raises ConfigurationError with file and line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def _read_file(path: Path, known: Mapping[str, Fact], faults: list[str]) -> RuleFile:
    data = read_toml(path)
    rules: list[Rule] = []
    decides = Decides.REFUSAL
    try:
        decides = Decides(str(data.pop("decides", "")))
    except ValueError:
        faults.append(f"{path}: decides: write one of {', '.join(Decides)}")
        return RuleFile(path, decides, ())
    entries = data.pop("rule", [])
    faults += [f"{path}: {key}: there is no such key" for key in data]
    if not isinstance(entries, list):
        faults.append(f"{path}: rule: rules are written as [[rule]]")
        entries = []
    for number, entry in enumerate(entries, 1):
        table = dict(entry) if isinstance(entry, dict) else {}
        name = table.get("name", f"number {number}")
        try:
            rules.append(_read_rule(table, decides, known))
        except InvalidRule as error:
            faults.append(f"{path}: rule {name}: {error}")
    if decides is Decides.CLASS and rules and (rules[-1].when or rules[-1].unless):
        faults.append(f"{path}: rule {rules[-1].name}: the last rule must hold for every message")
    return RuleFile(path, decides, tuple(rules), path.read_bytes())


_KEYS = {
    Decides.REFUSAL: {"refuse", "defer", "pass", "alert", "sentence"},
    Decides.CLASS: {"class", "seal"},
    Decides.WARNINGS: {"warn"},
}


def _read_rule(table: dict[str, object], decides: Decides, known: Mapping[str, Fact]) -> Rule:
    for key in table.keys() - {"name", "about", "when", "unless"} - _KEYS[decides]:
        raise InvalidRule(f"{key}: there is no such key where a file decides {decides.value}")
    name = _text(table, "name")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise InvalidRule("name: a name is written like-this")
    about = _text(table, "about") if "about" in table else ""
    when = tuple(read_condition(text, known) for text in _texts(table, "when"))
    unless = tuple(read_condition(text, known) for text in _texts(table, "unless"))
    match decides:
        case Decides.CLASS:
            return Rule(
                name, about, when, unless,
                message_class=MessageClass(_choice(table, "class", tuple(MessageClass))),
                seal_rule=SealRule(_choice(table, "seal", tuple(SealRule))),
            )  # fmt: skip
        case Decides.WARNINGS:
            return Rule(name, about, when, unless, warn=_text(table, "warn"))
    endings = [key for key in ("refuse", "defer", "pass") if key in table]
    if len(endings) != 1:
        raise InvalidRule("refuse: a rule has one of refuse, defer and pass")
    if endings[0] != "refuse" and table[endings[0]] is not True:
        raise InvalidRule(f"{endings[0]}: write {endings[0]} = true")
    if "alert" in table and (table["alert"] != "security" or "pass" in table):
        raise InvalidRule('alert: only a refusal alerts, and only "security"')
    return Rule(
        name, about, when, unless,
        refuse=Reason(_choice(table, "refuse", tuple(Reason))) if "refuse" in table else None,
        defer="defer" in table,
        alert_security="alert" in table,
        sentence=(_text(table, "sentence") if "sentence" in table else name)
        if endings[0] != "pass"
        else "",
    )  # fmt: skip


def _text(table: Mapping[str, object], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidRule(f"{key}: a text is missing here")
    return value


def _texts(table: Mapping[str, object], key: str) -> Sequence[str]:
    value = table.get(key, [])
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRule(f"{key}: write one sentence, or a list of them")
    return value


def _choice(table: Mapping[str, object], key: str, choices: Sequence[str]) -> str:
    value = table.get(key)
    if not isinstance(value, str) or value not in choices:
        raise InvalidRule(f"{key}: write one of {', '.join(choices)}")
    return value
