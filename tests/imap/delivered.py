"""An office whose units have post: documents of the office itself, and real mail."""

from __future__ import annotations

from pathlib import Path

from tests import letters, realmail
from tests.office import Office

SENDER = "office"
NUMBER = "和政办〔2026〕12号"
DOCUMENT = f"{NUMBER} 关于防汛值班安排的通知"
DUTY = "请于十一月二十三日前报送防汛值班表。"
MEETING, LUNCH = "会议通知", "食堂菜单"
# Strangers wrote to strangers: see integration/test_real_mail.
LENIENT = {
    "[policy]": "[policy]\ndisabled_checks = ['identity', 'blindcopy', 'marking', 'headers']"
}
REAL = (
    "ruby-mail/multi_charset/japanese_attachment.eml",
    "ruby-mail/multi_charset/japanese_attachment_long_name.eml",
    "ruby-mail/mime_emails/raw_email_with_nested_attachment.eml",
    "mime4j/mimetools-testmsgs/multi-nested.msg",
    "mime4j/testmsgs/russian-headers.msg",
)
TOTAL = 3 + len(REAL)


def fill(office: Office, shared_data: Path, *units: str) -> None:
    """Deliver to each unit: a document, a notice of a meeting, a plain mail, then real mail."""
    to = " ".join(units)
    texts = {
        DOCUMENT: f"各单位：\n\n    {DUTY}\n",
        MEETING: "明天上午九时在二楼会议室开会。\n",
        LUNCH: "今日供应：鱼香肉丝。\n",
    }
    mails = [letters.plain(SENDER, to, subject, text) for subject, text in texts.items()]
    mails += [realmail.on_the_wire((shared_data / "mail" / name).read_bytes()) for name in REAL]
    with office.client(SENDER) as client:
        for mail in mails:
            code, said = office.offer(client, SENDER, mail, *units)
            assert code == 250, said
