"""Thunderbird from Debian at a real post office, on a screen, as a clerk and a person use it.

One Thunderbird does all of it, in the order of the file. YIZHAN_PICTURES names a folder for
pictures of its window, for people to look at.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import letters
from tests.imap.look import Look
from tests.office import Office, free_ports
from tests.thunderbird import Marionette, screen, thunderbird

pytestmark = pytest.mark.one_database("what a mail client shows and does")

Find = Callable[[str], str]
CLERK, PERSON = "water", "water-li"  # a shared login of the bureau, and one of its people
DOCUMENT = "和政办〔2026〕12号 关于防汛值班安排的通知"
MEETING, LUNCH, URGENT = "会议通知", "食堂菜单", "紧急通知"
CABINET = "单位信箱/水务局/"


@dataclass(frozen=True)
class Desk:
    """Thunderbird with the clerk's account, and the office behind it."""

    office: Office
    client: Marionette
    settings: str  # that were found for the first account
    documents: dict[str, str]  # id by subject

    def do(self, script: str, *given: Any) -> Any:
        return self.client.run(script, *given)

    def picture(self, name: str) -> None:
        """For people to look at."""
        if folder := os.environ.get("YIZHAN_PICTURES"):
            self.client.run("await sleep(1000)")
            (Path(folder) / f"{name}.png").write_bytes(self.client.picture())


@pytest.fixture(scope="module")
def desk(
    make_module_office: Callable[..., Office], tmp_path_factory: pytest.TempPathFactory,
    program: Find,
) -> Iterator[Desk]:  # fmt: skip
    thunderbird_program, xvfb = program("thunderbird"), program("Xvfb")
    profile = tmp_path_factory.mktemp("thunderbird")
    with make_module_office().running() as office:
        documents = {
            subject: office.accept("office", letters.plain("office", CLERK, subject, text), CLERK)
            for subject, text in (
                (DOCUMENT, "各单位：\n\n    请于十一月二十三日前报送防汛值班表。\n"),
                (MEETING, "明天上午九时在二楼会议室开会。\n"),
                (LUNCH, "今日供应：鱼香肉丝。\n"),
            )
        }
        trust(program("certutil"), profile, office.folder / "ca.crt")
        preferences = {
            # the office's names without a DNS server, port 443 without its rights
            "network.dns.localDomains": "mail.heping.test,autoconfig.heping.test,heping.test",
            "network.socket.forcePort": f"443={office.portal_port}",
        }
        (port,) = free_ports(1)
        with (
            screen(xvfb) as display,
            thunderbird(thunderbird_program, profile, display, port, preferences) as client,
        ):
            settings = client.run("return setUp(...given)", *credentials(office, CLERK))
            yield Desk(office, client, settings, documents)


def trust(certutil: str, profile: Path, authority: Path) -> None:
    """Put the office's CA into the profile, as an administrator does; no exception is needed."""
    store = ["-d", f"sql:{profile}"]
    subprocess.run([certutil, "-N", *store, "--empty-password"], check=True)
    subprocess.run(
        [certutil, "-A", *store, "-n", "office", "-t", "C,,", "-i", authority], check=True
    )


def credentials(office: Office, login: str) -> tuple[str, str, str]:
    """What a person types: name, address, password."""
    account = office.accounts[login]
    return login, account["address"], account["password"]


def events(desk: Desk, subject: str) -> list[str]:
    """What is in evidence about a document."""
    found = desk.office.document(desk.documents[subject])
    return [record["event"] for record in found["evidence"]]


def test_it_finds_all_settings_at_the_portal_by_itself(desk: Desk) -> None:
    office = desk.office
    for text in (
        f"Server: mail.heping.test Port: {office.imaps_port} Security: SSL/TLS",
        f"Server: mail.heping.test Port: {office.submissions_port}",
        f"Username: {CLERK}",
    ):
        assert text in desk.settings
    found = desk.do("const s = serverOf(given[0]); return [s.port, s.socketType]", CLERK)
    assert found == [office.imaps_port, 3]


def test_it_shows_all_folders_by_name_and_knows_what_they_are_for(desk: Desk) -> None:
    shown = desk.do(
        "return serverOf(given[0]).rootFolder.descendants.map(one => one.prettyPath)", CLERK
    )
    there = Look(desk.office, CLERK).folders()
    assert {path.replace("Inbox", "INBOX") for path in shown} == set(there)
    uses = desk.do(
        """const root = serverOf(given[0]).rootFolder, is = Ci.nsMsgFolderFlags;
        return [is.Inbox, is.Drafts, is.SentMail, is.Archive, is.Trash].map(
            one => root.getFoldersWithFlags(one).map(folder => folder.name))""",
        CLERK,
    )
    assert uses == [["INBOX"], ["草稿"], ["已发送"], ["归档"], ["已删除"]]


def test_new_mail_comes_without_a_click(desk: Desk) -> None:
    desk.do("const inbox = await openFolder(given[0], 'INBOX');"
            "await until('mail', () => headersIn(inbox).length == 3)", CLERK)  # fmt: skip
    desk.picture("inbox")
    mail = letters.plain("office", CLERK, URGENT, "立即启动四级响应。\n")
    desk.documents[URGENT] = desk.office.accept("office", mail, CLERK)
    desk.do("await headerOf(folderAt(given[0], 'INBOX'), given[1])", CLERK, URGENT)
    desk.picture("new-mail")


def test_a_document_is_read_and_the_office_knows(desk: Desk) -> None:
    text = desk.do(
        "return read(await openFolder(given[0], 'INBOX'), given[1])", CLERK, DOCUMENT
    )  # fmt: skip
    assert "请于十一月二十三日前报送防汛值班表。" in text
    asked = desk.do("return (await until('the bar', receiptBar)).messageText.textContent")
    assert "asked to be notified" in asked
    desk.picture("document")
    Look(desk.office, CLERK).wait_for(
        lambda look: r"\Seen" in look.letters("INBOX")[0].flags
    )  # fmt: skip
    Look(desk.office, CLERK).wait_for(
        lambda _: "ContentAccessTracking" in events(desk, DOCUMENT)
    )  # fmt: skip
    assert Look(desk.office, PERSON).letters(f"{CABINET}INBOX")[0].flags == set()


def test_the_server_searches_for_words_in_texts(desk: Desk) -> None:
    script = """const folder = await openFolder(given[0], 'INBOX');
        return searchAtServer(folder, Ci.nsMsgSearchAttrib[given[1]], given[2])"""
    [found] = desk.do(script, CLERK, "Body", "二楼会议")
    assert MEETING in found
    [found] = desk.do(script, CLERK, "Subject", "防汛值班")
    assert DOCUMENT in found
    assert desk.do(script, CLERK, "Body", "三楼会议") == []


def test_a_folder_is_made_renamed_and_filled_by_dragging(desk: Desk) -> None:
    desk.do(
        """(await folderThere(given[0], '文件柜')).createSubfolder('食堂', window.top.msgWindow);
        (await folderThere(given[0], '文件柜/食堂')).rename('机关食堂', window.top.msgWindow);
        const target = await folderThere(given[0], '文件柜/机关食堂');
        await drag(await openFolder(given[0], 'INBOX'), given[1], target)""",
        CLERK, LUNCH,
    )  # fmt: skip
    look = Look(desk.office, CLERK)
    look.wait_for(lambda it: "文件柜/机关食堂" in it.folders() and it.letters("文件柜/机关食堂"))
    assert "文件柜/食堂" not in look.folders()
    assert LUNCH in look.subjects("文件柜/机关食堂")[0]
    look.wait_for(lambda it: not [one for one in it.subjects("INBOX") if LUNCH in one])


def test_why_a_document_may_not_be_moved_is_shown_and_it_comes_back(desk: Desk) -> None:
    """The shared login must say who signs."""
    desk.do(
        "drag(await openFolder(given[0], 'INBOX'), given[1], folderAt(given[0], '已签收'))",
        CLERK, DOCUMENT,
    )  # fmt: skip
    assert "公用账号须写明签收人" in desk.client.question()
    desk.do("await headerOf(folderAt(given[0], 'INBOX'), given[1])", CLERK, DOCUMENT)
    assert "ConsignmentAcceptance" not in events(desk, DOCUMENT)


def test_a_document_dragged_into_the_folder_of_a_name_is_signed_for(desk: Desk) -> None:
    desk.do(
        """(await folderThere(given[0], '已签收')).createSubfolder('张三', window.top.msgWindow);
        const target = await folderThere(given[0], '已签收/张三');
        await drag(await openFolder(given[0], 'INBOX'), given[1], target)""",
        CLERK, DOCUMENT,
    )  # fmt: skip
    look = Look(desk.office, CLERK)
    look.wait_for(lambda it: it.letters("已签收/张三"))
    assert "ConsignmentAcceptance" in events(desk, DOCUMENT)


def test_what_was_fetched_is_read_and_moved_without_a_connection(desk: Desk) -> None:
    text = desk.do(
        """const inbox = await openFolder(given[0], 'INBOX');
        inbox.downloadAllForOffline(null, window.top.msgWindow);
        await until('all of it', () =>
            headersIn(inbox).every(one => inbox.hasMsgOffline(one.messageKey)));
        Services.io.offline = true;
        const text = await read(inbox, given[1]);
        await drag(inbox, given[2], await folderThere(given[0], '文件柜/会议'));
        return text""",
        CLERK, MEETING, URGENT,
    )  # fmt: skip
    assert "二楼会议室" in text
    look = Look(desk.office, CLERK)
    assert look.letters("文件柜/会议") == []
    desk.do(
        """Cc['@mozilla.org/messenger/offline-manager;1']
            .getService(Ci.nsIMsgOfflineManager).goOnline(false, true, window.top.msgWindow)"""
    )
    [moved] = look.wait_for(lambda it: it.letters("文件柜/会议"))
    assert URGENT in str(moved.mail["Subject"])


def test_what_is_deleted_goes_into_the_folder_for_it(desk: Desk) -> None:
    desk.do(
        """const inbox = await openFolder(given[0], 'INBOX');
        const header = await headerOf(inbox, given[1]);
        inbox.deleteMessages([header], window.top.msgWindow, false, false, null, true)""",
        CLERK, MEETING,
    )  # fmt: skip
    look = Look(desk.office, CLERK)
    look.wait_for(lambda it: it.letters("已删除"))
    assert MEETING in look.subjects("已删除")[0]
    look.wait_for(lambda it: not it.letters("INBOX"))


def test_a_person_reads_the_unit_s_mail_and_signs_with_the_read_receipt(desk: Desk) -> None:
    subject = "关于开展安全检查的通知"
    mail = letters.plain("office", CLERK, subject, "请于月底前完成自查。\n")
    desk.documents[subject] = desk.office.accept("office", mail, CLERK)
    desk.do("window.openAccountHub('MAIL'); return setUp(...given)",
            *credentials(desk.office, PERSON))  # fmt: skip
    text = desk.do(
        "return read(await openFolder(given[0], given[1]), given[2])",
        PERSON, f"{CABINET}INBOX", subject,
    )  # fmt: skip
    assert "完成自查" in text
    desk.do("(await until('the bar', receiptBar)).buttonContainer.querySelector('button').click()")
    look = Look(desk.office, PERSON)
    look.wait_for(lambda _: "ConsignmentAcceptance" in events(desk, subject))
    desk.picture("person")

    # What a person deletes is nobody else's: the unit's 已删除 is not theirs.
    desk.do(
        """const inbox = await openFolder(given[0], given[1]);
        const header = await headerOf(inbox, given[2]);
        inbox.deleteMessages([header], window.top.msgWindow, false, false, null, true)""",
        PERSON, f"{CABINET}INBOX", subject,
    )  # fmt: skip
    look.wait_for(lambda it: it.letters("已删除"))
    assert not [one for one in look.subjects(f"{CABINET}已删除") if subject in one]
