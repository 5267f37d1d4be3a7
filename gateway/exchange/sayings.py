"""What is said to a person whose act came too late or cannot be, as replies in both languages."""

from __future__ import annotations

from datetime import timedelta, timezone

from gateway.domain.states import Act
from gateway.errors import Reply
from gateway.exchange.held import NotPossible, Problem

_CHINA = timezone(timedelta(hours=8))

SIGNED = Reply(250, "2.0.0", "Signed for", "已签收")
RETURNED = Reply(250, "2.0.0", "Returned; the sender is told why", "已退文，发文单位将收到退文原因")
OPENED = Reply(250, "2.0.0", "Noted as opened, not as signed for", "已记录为已阅读，不作签收")
NOT_COUNTED = Reply(
    250, "2.0.0", "Taken; what a program sends by itself does not sign", "已收到；自动回执不作签收"
)
MOVED_BY_PROGRAM = Reply(
    250,
    "2.0.0",
    "A program has moved it as soon as it came: that does not count; open it, then move it out and "
    "in again, or answer it",
    "文件一到即被规则或同步程序移动，不作签收；请阅读后移出再移入，或直接回复“签收”",
)
NO_SUCH_ACTION = Reply(
    550, "5.1.1", "This address for answers is not valid", "该回复地址无效或已过期"
)
NOT_YOURS = Reply(
    550, "5.7.1", "This account cannot sign for that document", "此账号不能签收该文件"
)
TOO_LONG = Reply(
    552, "5.3.4", "An answer to the post office is a short text", "发给邮局的回复应为简短文字"
)

MARKED = Reply(
    550,
    "5.7.1",
    "The reason bears a classification marking: do not send it over this network",
    "退文原因带有密级标志，不得在本网络传输",
)

_SENTENCES = {
    Problem.UNKNOWN: ("The document did not come to your unit", "该文件未发给贵单位"),
    Problem.PLAIN_MAIL: ("Nobody signs for plain mail", "普通邮件无须签收"),
    Problem.SIGNED: ("It is signed for already", "此件已签收"),
    Problem.RETURNED: ("It is returned already", "此件已退文"),
    Problem.FAILED: ("It was never delivered", "此件未能投递"),
    Problem.NO_REASON: (
        "Say why it is returned, on the first line: return: REASON",
        "请在首行写明退文原因，例如“退文：缺少附件”",
    ),
    Problem.NOT_ENTITLED: (
        "This account may read, but not sign",
        "此账号只能阅读，不能签收或退文",
    ),
}
_NAME_MISSING = {
    Act.SIGN_FOR: (
        "A shared account must say who signs: answer 'signed by NAME', or move it into a folder "
        "named after the person in this one",
        "公用账号须写明签收人：请回复“签收 姓名”，或移入“已签收”下以本人姓名命名的子文件夹",
    ),
    Act.RETURN: (
        "A shared account must say who returns it: answer 'return NAME: REASON'",
        "公用账号须写明经办人：请回复“退文 姓名：原因”",
    ),
}


def refusal(problem: NotPossible, act: Act) -> Reply:
    """Why the act cannot be; with name and time if somebody was first."""
    if problem.problem is Problem.NAME_MISSING:
        english, chinese = _NAME_MISSING[act]
    else:
        english, chinese = _SENTENCES[problem.problem]
    if problem.at is not None:
        when = problem.at.astimezone(_CHINA)
        english += f" ({_ascii(problem.by)}, {when:%Y-%m-%d %H:%M} UTC+08:00)"
        chinese += f"（{problem.by}，{when:%Y-%m-%d %H:%M}）"
    return Reply(550, "5.7.1", english, chinese)


def late(problem: NotPossible, act: Act) -> Reply:
    """The same, where nothing is left to be done: the first act stands, and that is no error."""
    said = refusal(problem, act)
    return Reply(250, "2.0.0", said.text, said.text_zh)


def in_language(reply: Reply, language: str) -> str:
    """The sentence for a reader of that language."""
    return reply.text_zh if language == "zh-CN" and reply.text_zh else reply.text


def _ascii(text: str) -> str:
    return text if text.isascii() else "see the receipt"
