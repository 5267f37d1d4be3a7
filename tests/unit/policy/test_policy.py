"""The shipped policy, the loader's complaints, and promises that hold for all facts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import resources
from gateway.domain.document import MessageClass
from gateway.domain.event import Reason
from gateway.errors import ConfigurationError, Deferred, Refused
from gateway.policy.cases import case_files, run_cases, usual_facts
from gateway.policy.checks import CHECKS, known_facts
from gateway.policy.engine import Policy
from gateway.policy.facts import Fact, FactKind, Facts, Value
from gateway.policy.types import PROGRAMS
from gateway.policy.verdict import Outcome

SHIPPED = Policy.load(None)
CALM = settings(deadline=None, max_examples=60)  # a busy machine is no fault


def test_every_case_of_the_shipped_rules_holds_and_every_rule_has_one() -> None:
    results = run_cases(SHIPPED, case_files(SHIPPED))
    assert len(case_files(SHIPPED)) == len(SHIPPED.files)
    assert [result for result in results if result.faults] == []


def _values(fact: Fact) -> st.SearchStrategy[Value]:
    words = st.sampled_from(fact.choices) if fact.choices else st.text(max_size=60)
    match fact.kind:
        case FactKind.FLAG:
            return st.booleans()
        case FactKind.NUMBER:
            return st.integers(0, 1 << 40)
        case FactKind.WORDS:
            return st.lists(words, max_size=6).map(tuple)
    return words


_DECIDED = ("class", "seal-rule")
ANY_FACTS = st.fixed_dictionaries(
    {}, optional={f.name: _values(f) for f in known_facts().values() if f.name not in _DECIDED}
).map(lambda values: usual_facts().also(values))


@CALM
@given(ANY_FACTS)
def test_every_verdict_is_complete_and_its_reply_fits_one_line(facts: Facts) -> None:
    verdict = SHIPPED.decide(facts)
    error = verdict.error()
    if verdict.outcome is Outcome.ACCEPT:
        assert error is None
        assert not verdict.reasons
        assert not verdict.alert_security
        return
    assert isinstance(error, Refused if verdict.outcome is Outcome.REFUSE else Deferred)
    assert bool(verdict.reasons) is (verdict.outcome is Outcome.REFUSE)
    reply = str(error.reply)
    assert reply.isascii()
    assert reply.isprintable()
    assert len(reply) <= 400
    chinese = error.reply.text_zh
    assert not chinese.isascii()
    assert len(f"{error.reply.code} {error.reply.enhanced} {chinese}".encode()) <= 400
    assert chinese.isprintable()


@CALM
@given(ANY_FACTS, st.sampled_from(["top-secret", "secret", "confidential"]))
def test_a_marking_is_refused_and_reported_whatever_else_is_so(facts: Facts, level: str) -> None:
    verdict = SHIPPED.decide(facts.also({"markings": (level,)}))
    assert verdict.rule == "marking"
    assert verdict.outcome is Outcome.REFUSE
    assert verdict.alert_security
    assert verdict.reasons[0].code is Reason.CLASSIFICATION_MARKING


@CALM
@given(ANY_FACTS)
def test_only_a_marking_alerts_the_security_officer(facts: Facts) -> None:
    verdict = SHIPPED.decide(facts.also({"markings": ()}))
    assert not verdict.alert_security


@CALM
@given(ANY_FACTS, st.sampled_from(["unreachable", "unscannable"]))
def test_without_an_answer_of_the_scanner_nothing_is_accepted(facts: Facts, state: str) -> None:
    assert SHIPPED.decide(facts.also({"virus": state})).outcome is not Outcome.ACCEPT


@CALM
@given(ANY_FACTS, st.sampled_from(["other-unit", "invalid", "cancelled", "expired"]))
def test_a_wrong_seal_is_never_accepted_but_on_plain_mail(facts: Facts, seal: str) -> None:
    verdict = SHIPPED.decide(facts.also({"seal": seal}))
    if verdict.outcome is Outcome.ACCEPT:
        assert verdict.message_class is MessageClass.MAIL


@pytest.mark.parametrize("kind", sorted(PROGRAMS))
def test_every_kind_of_program_that_can_be_recognised_is_refused(kind: str) -> None:
    verdict = SHIPPED.decide(usual_facts().also({"file-types": (kind,)}))
    assert verdict.reasons[0].code is Reason.FORBIDDEN_ATTACHMENT


@CALM
@given(ANY_FACTS)
def test_the_same_facts_get_the_same_verdict(facts: Facts) -> None:
    assert SHIPPED.decide(facts) == SHIPPED.decide(Facts(dict(facts.items())))


@CALM
@given(st.sets(st.sampled_from([check.name for check in CHECKS])), ANY_FACTS)
def test_checks_that_are_off_decide_nothing_and_break_nothing(off: set[str], facts: Facts) -> None:
    absent = {fact.name for check in CHECKS if check.name in off for fact in check.facts}
    verdict = SHIPPED.decide(Facts({k: v for k, v in facts.items() if k not in absent}))
    if verdict.outcome is not Outcome.ACCEPT:
        rule = next(r for f in SHIPPED.files for r in f.rules if r.name == verdict.rule)
        assert absent.isdisjoint(condition.fact for condition in rule.when)


def test_sentences_name_what_is_wrong_but_shorten_long_lists() -> None:
    many = tuple(f"unit{n}@heping.test" for n in range(12))
    verdict = SHIPPED.decide(usual_facts().also({"blind-copies": many}))
    assert "unit0@heping.test, unit1@heping.test, unit2@heping.test and 9 more" in verdict.text(
        "en"
    )
    assert "unit2@heping.test等12个" in verdict.text("zh-CN")
    assert verdict.text("fr") == verdict.text("en")


def test_what_comes_from_outside_cannot_begin_a_second_reply_line() -> None:
    verdict = SHIPPED.decide(
        usual_facts().also({"virus": "found", "virus-name": "x\r\n250 2.0.0 accepted"})
    )
    assert "\r" not in verdict.text("en")
    assert "\n" not in verdict.text("zh-CN")


def test_the_explanation_says_why_each_rule_did_not_match() -> None:
    explanation = SHIPPED.explain(usual_facts().also({"hops": 31}))
    steps = {step.rule: step for step in explanation.steps}
    assert steps["marking"].because == "not so: markings are not empty"
    assert steps["hops"].matched
    assert "virus" not in steps  # first match wins
    assert explanation.facts.get("class") == "mail"
    machine = {"sender-kind": "machine", "sent-last-minute": 61}
    explanation = SHIPPED.explain(usual_facts().also(machine))
    steps = {step.rule: step for step in explanation.steps}
    assert steps["rate-minute"].because == "except: sender-kind is machine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(resources.folder("policies"), tmp_path / "policies")
    return tmp_path / "policies"


def test_the_version_changes_when_a_rule_does(folder: Path) -> None:
    assert Policy.load(folder).version == SHIPPED.version
    rules = folder / "40-warnings.toml"
    rules.write_text(rules.read_text() + "\n# changed\n")
    assert Policy.load(folder).version != SHIPPED.version


RULE = '[[rule]]\nname = "x"\nwhen = "hops is over 3"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "decides: write one of refusal, class, warnings"),
        ('decides = "all"', "decides: write one of"),
        ('decides = "refusal"\nrules = 1', "rules: there is no such key"),
        ('decides = "refusal"\nrule = 1', r"written as \[\[rule\]\]"),
        (f'decides = "refusal"\n{RULE}', "rule x: refuse: a rule has one of"),
        (f'decides = "refusal"\n{RULE}refuse = "Loop"\ndefer = true', "one of refuse, defer"),
        (f'decides = "refusal"\n{RULE}refuse = "Bad"', "rule x: refuse: write one of Unknown"),
        (f'decides = "refusal"\n{RULE}refuse = "Loop"', r"sentences\.x: this sentence is missing"),
        (f'decides = "refusal"\n{RULE}defer = 1\nsentence = "rate"', "defer: write defer = true"),
        (f'decides = "refusal"\n{RULE}pass = true\nalert = "security"', "alert: only a refusal"),
        (f'decides = "refusal"\n{RULE}warn = "x"', "warn: there is no such key where a file"),
        (f'decides = "warnings"\n{RULE}', "rule x: warn: a text is missing"),
        (f'decides = "warnings"\n{RULE}warn = "no-such"', r"warnings\.no-such"),
        (f'decides = "class"\n{RULE}class = "mail"\nseal = "none"', "the last rule must hold"),
        (f'decides = "class"\n{RULE}class = "post"\nseal = "none"', "class: write one of doc"),
        (f'decides = "class"\n{RULE}class = "mail"\nseal = "hold"', "seal: write one of require"),
        ('decides = "refusal"\n[[rule]]\nname = "Big One"', "name: a name is written like-this"),
        ('decides = "refusal"\n[[rule]]\nwhen = "x"', "rule number 1: name: a text is missing"),
        (f'decides = "refusal"\n{RULE}unless = [1]\npass = true', "unless: write one sentence"),
        (f'decides = "refusal"\n{RULE}unless = "a is b"\npass = true', "no fact 'a'"),
        (f'decides = "refusal"\n{RULE.replace("x", "loop")}pass = true', "rule loop: 10-refusals"),
        ('decides = "refusal', "not valid TOML"),
    ],
)
def test_a_fault_in_a_rule_file_names_file_rule_and_key(folder: Path, text: str, says: str) -> None:
    (folder / "50-own.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=says) as caught:
        Policy.load(folder)
    assert "toml" in caught.value.public


def test_all_faults_are_told_at_once(folder: Path) -> None:
    text = f'decides = "refusal"\n{RULE}refuse = "Bad"\n{RULE.replace("x", "y")}refuse = "Worse"'
    (folder / "50-own.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Policy.load(folder)
    assert len(caught.value.public.splitlines()) == 2


def test_a_folder_without_rules_is_no_policy(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no rule files"):
        Policy.load(tmp_path / "empty")
    (folder / "20-classes.toml").unlink()
    (folder / "30-seals.toml").unlink()
    (folder / "40-warnings.toml").unlink()
    with pytest.raises(ConfigurationError, match="no rule file decides the class"):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("language", "old", "new", "says"),
    [
        ("en", 'loop = "', 'loop2 = "', r"sentences\.loop: this sentence is missing"),
        ("zh-CN", 'loop = "', 'loop2 = "', r"sentences\.loop2: this sentence is missing"),
        ("en", "{hops} servers", "{subject} servers", r"\{subject\} is not a fact that may"),
        ("en", "{hops} servers", "{file-endings} servers", r"\{file-endings\} is not a fact"),
        ("en", "{hops} servers", "{hops servers", "sentences.hops: "),
        ("en", "{hops} servers", "服务器", "a reply in English is ASCII"),
        ("zh-CN", "[words]", "[wordz]", "wordz: there is no such table"),
        ("zh-CN", 'subject = "标题"', "subject = 1", "words.subject: write one line of text"),
    ],
)
def test_a_fault_in_the_sentences_names_file_and_key(
    tmp_path: Path, language: str, old: str, new: str, says: str
) -> None:
    shutil.copytree(resources.folder("templates"), tmp_path / "templates")
    path = tmp_path / "templates" / language / "verdicts.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says):
        Policy.load(None, tmp_path / "templates")


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ('facts = { colour = 1 }\nexpect = { rule = "x" }', "colour: there is no such fact"),
        ('facts = { hops = "x" }\nexpect = { rule = "x" }', "hops: hops is a number"),
        ('facts = { hops = true }\nexpect = { rule = "x" }', "hops: hops is a number"),
        ('facts = { seal = "x" }\nexpect = { rule = "x" }', "seal is never x"),
        ('facts = { directions = "up" }\nexpect = { rule = "x" }', "a list of words"),
        ("facts = 1", "facts: write a table"),
        ("facts = {}", "expect: say what the verdict must be"),
        ("expect = { colour = 1 }", r"expect\.colour: there is no such key"),
        ('expect = { rule = "x" }\nmore = 1', "more: there is no such key"),
        ('expect = { rule = "x" }\noff = "x"', "off: write a list"),
        ('expect = { rule = "x" }\nseal-rule = "x"', "seal-rule: no such rule"),
    ],
)
def test_a_case_that_cannot_be_understood_is_said_with_its_name(
    tmp_path: Path, case: str, says: str
) -> None:
    path = tmp_path / "x.cases.toml"
    path.write_text(f'[[case]]\nname = "mine"\n{case}\n')
    with pytest.raises(ConfigurationError, match=says) as caught:
        run_cases(SHIPPED, [path])
    assert "case mine" in caught.value.public


def test_a_case_that_does_not_hold_and_a_rule_without_a_case_fail(tmp_path: Path) -> None:
    path = tmp_path / "x.cases.toml"
    path.write_text('[[case]]\nname = "mine"\nexpect = { outcome = "refuse", matched = "loop" }\n')
    results: dict[str, Any] = {r.case: r.faults for r in run_cases(SHIPPED, [path])}
    assert results["mine"][0] == "outcome is 'accept', not 'refuse'"
    assert results["mine"][1].startswith("rule loop did not match, only ")
    assert results["rule marking"] == ("no case reaches this rule",)


def test_a_warning_without_words_is_shown_as_it_is() -> None:
    assert SHIPPED.sentences.warning("en", "seal-missing").startswith("It bears no seal")
    assert "印章" in SHIPPED.sentences.warning("zh-CN", "seal-missing")
    assert SHIPPED.sentences.warning("en", "something-new") == "something-new"
