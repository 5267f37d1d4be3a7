"""The engine: facts in, verdict out; a pure function of the loaded rules, first match wins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import resources
from gateway.domain.document import MessageClass, SealRule
from gateway.errors import ConfigurationError
from gateway.policy.checks import known_facts
from gateway.policy.facts import Facts
from gateway.policy.rules import Decides, Rule, RuleFile, read_rules
from gateway.policy.sentences import Sentences
from gateway.policy.verdict import Outcome, ReasonDetail, Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was asked, for `yizhan policy explain`."""

    file: str
    rule: str
    matched: bool
    because: str  # the sentence that kept it from matching; empty if it matched


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, every rule that was asked for it, and the facts with those that rules gave."""

    verdict: Verdict
    steps: tuple[Step, ...]
    facts: Facts


class Policy:
    """The rules and sentences of an office, loaded and checked as a whole."""

    def __init__(self, files: tuple[RuleFile, ...], sentences: Sentences) -> None:
        self.files = files
        self.sentences = sentences
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.path.name.encode() + b"\0" + file.octets)
        self.version = digest.hexdigest()[:16]  # changes when a rule file does

    @classmethod
    def load(cls, directory: Path | None, templates: Path | None = None) -> Policy:
        """Read the rule files of a folder; None: the shipped rules, the shipped templates.

        Raises ConfigurationError with one sentence for each fault, naming file, rule and key.
        """
        known = known_facts()
        files = read_rules(directory or resources.folder("policies"), known)
        sentences = Sentences(templates or resources.folder("templates"), known)
        rules = [rule for file in files for rule in file.rules]
        faults = sentences.missing(
            [rule.sentence for rule in rules if rule.sentence],
            [rule.warn for rule in rules if rule.warn],
        )
        if all(file.decides is not Decides.CLASS for file in files):
            faults.append(f"{files[0].path.parent}: no rule file decides the class")
        if faults:
            raise ConfigurationError("\n".join(faults))
        return cls(files, sentences)

    def decide(self, facts: Facts) -> Verdict:
        """The verdict on one message."""
        return self._judge(facts, None, None)[0]

    def explain(self, facts: Facts, seal_rule_given: SealRule | None = None) -> Explanation:
        """The verdict, and how the rules came to it.

        Files run in the order of their names. The class is decided for a refused message too, and
        is a fact (`class`, `seal-rule`) for the files after it. After the first refusal or deferral
        no further one is looked for. `seal_rule_given` stands for what the class rules say about
        seals, so that a case can try a rule that no class of this policy needs yet.
        """
        steps: list[Step] = []
        verdict, facts = self._judge(facts, seal_rule_given, steps)
        return Explanation(verdict, tuple(steps), facts)

    def _judge(
        self, facts: Facts, seal_rule_given: SealRule | None, steps: list[Step] | None
    ) -> tuple[Verdict, Facts]:
        ended: Rule | None = None
        verdict = Verdict(Outcome.ACCEPT, "", (), MessageClass.MAIL, SealRule.NONE, False, "", ())
        for file in self.files:
            if file.decides is Decides.REFUSAL and ended is not None:
                continue
            for rule in file.rules:
                because = rule.blocked_by(facts)
                if steps is not None:
                    said = because.sentence if because else ""
                    steps.append(Step(file.path.name, rule.name, because is None, said))
                if because is not None:
                    continue
                match file.decides:
                    case Decides.WARNINGS:
                        warnings = dict.fromkeys((*verdict.warnings, rule.warn))
                        verdict = replace(verdict, warnings=tuple(warnings))
                        continue
                    case Decides.CLASS:
                        verdict = replace(
                            verdict,
                            rule=rule.name,
                            message_class=rule.message_class,
                            seal_rule=seal_rule_given or rule.seal_rule,
                        )
                        facts = facts.also(
                            {
                                "class": verdict.message_class.value,
                                "seal-rule": verdict.seal_rule.value,
                            }
                        )
                    case Decides.REFUSAL if rule.refuse is not None or rule.defer:
                        ended = rule
                break
        if ended is not None:
            verdict = self._turn_away(verdict, ended, facts)
        return verdict, facts

    def _turn_away(self, verdict: Verdict, rule: Rule, facts: Facts) -> Verdict:
        """The verdict when that rule has refused or deferred the message."""
        texts = self.sentences.say(rule.sentence, facts)
        return replace(
            verdict,
            outcome=Outcome.REFUSE if rule.refuse else Outcome.DEFER,
            rule=rule.name,
            reasons=(ReasonDetail(rule.refuse, dict(texts)["en"]),) if rule.refuse else (),
            alert_security=rule.alert_security,
            sentence=rule.sentence,
            texts=texts,
        )
