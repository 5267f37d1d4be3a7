"""Each fault has its name: one thing is damaged; fsck says exactly that and heals what it may."""

from __future__ import annotations

import pytest

from gateway.fsck.codes import Code
from gateway.fsck.meanings import CODES
from gateway.fsck.repair import HEALERS
from tests.office import ROOT
from tests.unit.fsck.damages import DAMAGES
from tests.unit.fsck.lived import Lived

EVERYWHERE = [name for name, damage in DAMAGES.items() if not damage.only]
OF_SQLITE = [name for name, damage in DAMAGES.items() if damage.only]


@pytest.mark.one_database("PostgreSQL answers for its own pages and references")
@pytest.mark.parametrize("name", OF_SQLITE)
def test_a_damage_of_the_database_file_is_named(name: str, lived: Lived) -> None:
    try_out(name, lived)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_damage_is_named_and_healed_or_left(name: str, lived: Lived) -> None:
    try_out(name, lived)


def try_out(name: str, lived: Lived) -> None:
    damage = DAMAGES[name]
    subject = damage.apply(lived)
    report = lived.examine()
    named = {fault.code for fault in report.faults}
    assert named - damage.also == {damage.code}, [fault.sentence for fault in report.faults]
    assert damage.also <= named
    if subject is not None:
        subjects = {str(one) for one in subject} if isinstance(subject, set) else {str(subject)}
        assert {f.subject for f in report.faults if f.code is damage.code} == subjects
    repairs = lived.repair(report)
    healed = all(CODES[code].repairable for code in named)
    assert (not repairs.left) == healed, [fault.sentence for fault in repairs.left]
    if healed:
        assert [fault.sentence for fault in lived.examine().faults] == []
        written = lived.sql("SELECT key FROM directory_changes WHERE action = 'repair'")
        assert len(written) == len(report.faults)


def test_every_code_has_a_damage() -> None:
    assert {damage.code for damage in DAMAGES.values()} == set(Code)


def test_what_calls_itself_repairable_has_its_healer() -> None:
    repairable = {code for code, meaning in CODES.items() if meaning.repairable}
    assert repairable == {*HEALERS, Code.LOG_NODE}


@pytest.mark.parametrize("code", Code)
def test_the_manual_says_of_each_fault_what_it_means_and_what_to_do(code: Code) -> None:
    meaning = CODES[code]
    advice = meaning.advice[0].upper() + meaning.advice[1:]
    page = (ROOT / "docs" / "fsck.md").read_text(encoding="utf-8")
    _, _, section = page.partition(f"`--only {meaning.family.value}`")
    assert f"| `{code.value}` | {meaning.means} | {advice}. |" in section.partition("### ")[0]
