"""What subject and first lines say, in the forms that offices write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.document import Urgency
from gateway.domain.metadata import KINDS, NUMBER_MALFORMED, read_metadata


@pytest.mark.parametrize(
    ("subject", "urgency", "title"),
    [
        ("【特急】关于召开会议的通知", Urgency.EXTRA, "关于召开会议的通知"),
        ("[加急] 关于召开会议的通知", Urgency.URGENT, "关于召开会议的通知"),
        ("〔急件〕关于召开会议的通知", Urgency.URGENT, "关于召开会议的通知"),
        ("（特提）关于召开会议的通知", Urgency.EXTRA, "关于召开会议的通知"),
        ("特急：关于召开会议的通知", Urgency.EXTRA, "关于召开会议的通知"),
        ("特急关于召开会议的通知", Urgency.EXTRA, "关于召开会议的通知"),
        ("关于召开会议的通知【加急】", Urgency.URGENT, "关于召开会议的通知"),
        ("关于召开会议的通知 特急", Urgency.EXTRA, "关于召开会议的通知"),
        ("Re: 【特急】转发：關於召開會議的通知", Urgency.EXTRA, "關於召開會議的通知"),
        ("【平急】关于召开会议的通知", Urgency.NORMAL, "关于召开会议的通知"),
        ("关于紧急救援演练的通知", Urgency.NORMAL, "关于紧急救援演练的通知"),
        ("特急诊疗工作简报", Urgency.NORMAL, "特急诊疗工作简报"),
    ],
)
def test_urgency_is_read_from_the_subject_and_taken_out_of_the_title(
    subject: str, urgency: Urgency, title: str
) -> None:
    metadata, _ = read_metadata(subject, "")
    assert (metadata.urgency, metadata.title) == (urgency, title)


def test_the_subject_outranks_the_priority_and_the_priority_the_buttons_of_the_client() -> None:
    def source(subject: str, **said: str | int | None) -> tuple[Urgency, str]:
        values: dict[str, object] = {"importance": "", "x_priority": "", "mt_priority": None}
        metadata, found = read_metadata(subject, "", **(values | said))  # type: ignore[arg-type]
        return metadata.urgency, found

    assert source("x", importance="high", mt_priority=6) == (Urgency.EXTRA, "mt-priority")
    assert source("[平件] x", importance="high", mt_priority=6) == (Urgency.NORMAL, "subject")
    assert source("x", importance="High", x_priority="1") == (Urgency.URGENT, "importance")
    assert source("x", x_priority="1 (Highest)") == (Urgency.URGENT, "x-priority")
    assert source("x", mt_priority=4) == (Urgency.URGENT, "mt-priority")
    assert source("x", mt_priority=0, importance="high") == (Urgency.URGENT, "importance")
    assert source("x", importance="normal", x_priority="3") == (Urgency.NORMAL, "")


@pytest.mark.parametrize(
    ("written", "malformed"),
    [
        ("赤政办发〔2010〕56号", False),
        ("赤政办发[2010]56号", True),
        ("赤政办发(2010)56号", True),
        ("赤政办发（2010）56号", True),
        ("赤政办发【2010】56号", True),
        ("赤政办发〔2010〕第56号", True),
        ("赤政办发〔2010〕056号", True),
        ("赤政辦發〔2010〕56號", False),
        ("赤政办发〔2010〕 56 号", True),
    ],
)
@pytest.mark.parametrize(
    "form", ["{} 关于检查的通知", "关于检查的通知（{}）", "【特急】{}关于检查的通知"]
)
def test_every_form_of_a_number_becomes_the_standard_one(
    written: str, malformed: bool, form: str
) -> None:
    metadata, _ = read_metadata(form.format(written), "")
    assert metadata.number == "赤政办发〔2010〕56号"
    assert metadata.number_found == written
    assert metadata.warnings == ((NUMBER_MALFORMED,) if malformed else ())
    assert metadata.title == "关于检查的通知"


@pytest.mark.parametrize(
    "subject",
    [
        "关于转发《检查的通知》（赤政办发〔2010〕56号）的通知",
        "关于贯彻落实赤政办发〔2010〕56号文件的通知",
        "你好",
        "",
    ],
)
def test_a_number_of_another_document_is_not_taken(subject: str) -> None:
    assert read_metadata(subject, "")[0].number == ""


def test_a_number_with_an_unreadable_year_is_reported_and_not_guessed() -> None:
    metadata, _ = read_metadata("赤政办发〔10〕56号 关于检查的通知", "")
    assert (metadata.number, metadata.number_found) == ("", "赤政办发〔10〕56号")
    assert metadata.warnings == (NUMBER_MALFORMED,)


def test_number_and_kind_are_read_from_the_head_of_the_document() -> None:
    head = "和平区人民政府文件\n和政发〔2026〕12号    签发人：王某\n关于加强\n防汛工作的通知\n"
    metadata, _ = read_metadata("请查收", head)
    assert (metadata.number, metadata.kind, metadata.title) == (
        "和政发〔2026〕12号",
        "通知",
        "请查收",
    )
    body = "各单位：\n根据《意见》（和政发〔2026〕12号）要求，现通知如下：\n"
    assert read_metadata("请查收", body)[0].number == ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_the_fifteen_kinds_is_known(kind: str) -> None:
    assert read_metadata(f"和平区人民政府关于检查的{kind}", "")[0].kind == kind
    assert read_metadata(f"关于检查的{kind}（试行）", "")[0].kind == kind


@pytest.mark.parametrize("subject", ["修改系统指令", "收到一封信函", "请提意见", "开会", "Notice"])
def test_a_word_that_only_ends_alike_is_no_kind(subject: str) -> None:
    assert read_metadata(subject, "")[0].kind == ""


@given(st.text(max_size=80), st.text(max_size=200))
def test_any_text_gives_metadata(subject: str, lines: str) -> None:
    metadata, _ = read_metadata(subject, lines)
    assert bool(metadata.title) <= bool(subject.strip())


@given(
    st.text(alphabet="和平区政办发教水函字", min_size=2, max_size=8),
    st.integers(1949, 2099),
    st.integers(1, 99999),
    st.sampled_from(["〔〕", "[]", "()", "（）", "【】", "［］"]),
)
def test_normalising_a_normal_number_changes_nothing(
    code: str, year: int, number: int, brackets: str
) -> None:
    first, _ = read_metadata(f"{code}{brackets[0]}{year}{brackets[1]}{number}号", "")
    second, _ = read_metadata(first.number, "")
    assert first.number == second.number == f"{code}〔{year}〕{number}号"
    assert second.warnings == ()
