"""Cases: the table of examples beside each rule file, which `yizhan policy test` and CI run.

A case names the facts that differ from a harmless plain mail, and what the verdict must be:

    [[case]]
    name = "a mark in the subject is refused and the security officer told"
    facts = { markings = ["secret"], marking-places = ["subject"] }
    expect = { outcome = "refuse", rule = "marking", alert = true }

`off` lists facts that are absent (their check is off), `seal-rule` overrides what the class rules
say about seals. `expect` knows outcome, rule, reason, class, seal, alert, warnings, and matched:
a rule that must be among those that matched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.document import SealRule
from gateway.errors import ConfigurationError
from gateway.policy.checks import DECIDED, known_facts
from gateway.policy.engine import Explanation, Policy
from gateway.policy.facts import Fact, Facts, Value
from gateway.policy.rules import read_toml


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; no faults: the policy does what the case says."""

    file: str
    case: str
    faults: tuple[str, ...]


def usual_facts() -> Facts:
    """The facts about a harmless plain mail, from which cases start."""
    decided = {fact.name for fact in DECIDED}
    return Facts({f.name: f.usual for f in known_facts().values() if f.name not in decided})


def case_files(policy: Policy) -> tuple[Path, ...]:
    """The tables of cases that lie beside the rule files."""
    beside = (file.path.with_suffix(".cases.toml") for file in policy.files)
    return tuple(path for path in beside if path.exists())


def run_cases(policy: Policy, files: Iterable[Path]) -> list[CaseResult]:
    """Run every case of these files; last, one failing result for each rule that no case reached.

    Raises ConfigurationError with file, case and key for a case that cannot be understood.
    """
    known = known_facts()
    results: list[CaseResult] = []
    reached: set[str] = set()
    for path in files:
        table = read_toml(path)
        cases = table.pop("case", [])
        if table or not isinstance(cases, list):
            raise ConfigurationError(f"{path}: cases are written as [[case]], and nothing else")
        for number, entry in enumerate(cases, 1):
            name = str(entry.get("name", f"number {number}"))
            facts, given = _facts(path, name, entry, known), entry.get("seal-rule")
            if given is not None and given not in tuple(SealRule):
                raise ConfigurationError(f"{path}: case {name}: seal-rule: no such rule for seals")
            explanation = policy.explain(facts, SealRule(given) if given else None)
            reached |= {step.rule for step in explanation.steps if step.matched}
            faults = _differences(path, name, entry, explanation)
            results.append(CaseResult(path.name, name, tuple(faults)))
    for file in policy.files:
        for rule in file.rules:
            if rule.name not in reached:
                fault = "no case reaches this rule"
                results.append(CaseResult(file.path.name, f"rule {rule.name}", (fault,)))
    return results


def _facts(path: Path, name: str, entry: Mapping[str, object], known: Mapping[str, Fact]) -> Facts:
    for key in entry.keys() - {"name", "facts", "expect", "off", "seal-rule"}:
        raise ConfigurationError(f"{path}: case {name}: {key}: there is no such key")
    given = entry.get("facts", {})
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: case {name}: facts: write a table of facts")
    values: dict[str, Value] = {}
    for key, value in given.items():
        fault = known[key].faults(value) if key in known else "there is no such fact"
        if fault:
            raise ConfigurationError(f"{path}: case {name}: {key}: {fault}")
        values[key] = tuple(value) if isinstance(value, list) else value
    facts = usual_facts().also(values)
    off = entry.get("off", [])
    if not isinstance(off, list) or not all(isinstance(item, str) for item in off):
        raise ConfigurationError(f"{path}: case {name}: off: write a list of facts that are absent")
    return Facts({key: value for key, value in facts.items() if key not in off})


def _differences(
    path: Path, name: str, entry: Mapping[str, object], explanation: Explanation
) -> list[str]:
    expect = entry.get("expect")
    if not isinstance(expect, dict) or not expect:
        raise ConfigurationError(f"{path}: case {name}: expect: say what the verdict must be")
    verdict = explanation.verdict
    matched = [step.rule for step in explanation.steps if step.matched]
    found: dict[str, object] = {
        "outcome": verdict.outcome.value,
        "rule": verdict.rule,
        "reason": verdict.reasons[0].code.value if verdict.reasons else "",
        "class": verdict.message_class.value,
        "seal": verdict.seal_rule.value,
        "alert": verdict.alert_security,
        "warnings": list(verdict.warnings),
    }
    faults = []
    for key, wanted in expect.items():
        if key == "matched":
            if wanted not in matched:
                faults.append(f"rule {wanted} did not match, only {', '.join(matched)}")
        elif key not in found:
            raise ConfigurationError(f"{path}: case {name}: expect.{key}: there is no such key")
        elif found[key] != wanted:
            faults.append(f"{key} is {found[key]!r}, not {wanted!r}")
    return faults
