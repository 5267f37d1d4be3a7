"""Every reply that the door gives by itself, and how a reply becomes octets.

Where UTF-8 may be sent (RFC 6531, 3.7.4.2, or a listener that always may), a reply that has a
Chinese text goes out as two lines, the reader's own language first; elsewhere only the English.
"""

from __future__ import annotations

import re

from gateway.errors import Reply

LINE_OCTETS = 510  # RFC 5321, 4.5.3.1.5: 512 with CR LF

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_NOT_ASCII = "The receipt in your mailbox says why"

# Session
BYE = Reply(221, "2.0.0", "Goodbye", "再见")
DONE = Reply(250, "2.0.0", "OK", "好")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
NOT_VERIFIED = Reply(
    252, "2.0.0", "Send the message, the answer to RCPT says whether the address exists"
)
HELP = Reply(
    214,
    "2.0.0",
    "Commands: EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP HELP QUIT, see RFC 6409",
)
LOGGED_IN = Reply(235, "2.7.0", "Logged in", "登录成功")
SENDER_OK = Reply(250, "2.1.0", "Sender OK", "发件人有效")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK", "收件人有效")
SEND_DATA = Reply(354, "", "Send the message, end with a line that holds only a dot")

# Order and form of commands
UNKNOWN_COMMAND = Reply(500, "5.5.1", "There is no such command", "没有这个命令")
NOT_OFFERED = Reply(502, "5.5.1", "This post office does not offer that command", "不提供此命令")
BAD_LINE = Reply(500, "5.5.2", "The command cannot be read", "无法读懂这个命令")
BARE_LINE_END = Reply(500, "5.5.2", "Command lines must end with CR LF", "命令行必须以 CR LF 结尾")
LONG_LINE = Reply(500, "5.5.2", "The command line is too long", "命令行太长")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument", "此命令不带参数")
HELLO_FIRST = Reply(503, "5.5.1", "Send EHLO first", "请先发送 EHLO")
BAD_HELLO = Reply(501, "5.5.4", "Give a host name after EHLO", "EHLO 后应有主机名")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first", "请先发送 MAIL")
NESTED_MAIL = Reply(503, "5.5.1", "A message is already begun, send RSET first", "请先发送 RSET")
NO_RECIPIENTS = Reply(554, "5.5.1", "The message has no valid recipient", "没有有效的收件人")
WEB_CLIENT = Reply(421, "4.7.0", "This is a mail server, not a web server")

# TLS and login
TLS_FIRST = Reply(530, "5.7.0", "Start TLS first", "请先启用 STARTTLS 加密")
TLS_RUNNING = Reply(503, "5.5.1", "TLS is already running", "已经加密")
TLS_FOR_LOGIN = Reply(
    538, "5.7.11", "Logging in needs TLS, send STARTTLS first", "登录须加密，请启用 STARTTLS"
)
LOGIN_FIRST = Reply(530, "5.7.0", "Log in first", "请先登录")
LOGIN_TWICE = Reply(503, "5.5.1", "You are logged in already", "已经登录")
LOGIN_HOW = Reply(501, "5.5.4", "Write AUTH PLAIN or AUTH LOGIN", "请用 AUTH PLAIN 或 LOGIN")
LOGIN_UNKNOWN_WAY = Reply(
    504,
    "5.5.4",
    "Log in with PLAIN or LOGIN, or with a certificate by EXTERNAL",
    "请用 PLAIN、LOGIN，或用证书 EXTERNAL 登录",
)
LOGIN_CANCELLED = Reply(501, "5.7.0", "Login given up", "已放弃登录")
LOGIN_NOT_BASE64 = Reply(501, "5.5.2", "The answer is not valid base64", "应答不是 base64")
LOGIN_TOO_LONG = Reply(500, "5.5.6", "The answer is too long", "应答太长")
LOGIN_FORM = Reply(501, "5.5.2", "PLAIN needs identity, login and password", "PLAIN 数据格式不对")
LOGIN_FOR_ANOTHER = Reply(
    535, "5.7.8", "An account cannot act for another one", "不能以他人身份登录"
)
LOGIN_NO_CERTIFICATE = Reply(
    535, "5.7.8", "No client certificate of an account was shown", "未出示已登记的客户端证书"
)
LOGIN_CHANGED = Reply(
    421, "4.7.0", "The account was changed, connect and log in again", "账号已变更，请重新登录"
)

# Addresses
MAIL_SYNTAX = Reply(501, "5.5.2", "Write MAIL FROM:<address>", "格式为 MAIL FROM:<地址>")
RCPT_SYNTAX = Reply(501, "5.5.2", "Write RCPT TO:<address>", "格式为 RCPT TO:<地址>")
BAD_SENDER = Reply(553, "5.1.7", "The sender is not a valid address", "发件人地址无效")
BAD_RECIPIENT = Reply(553, "5.1.3", "The recipient is not a valid address", "收件人地址无效")
UTF8_ADDRESS = Reply(
    553, "5.6.7", "Letters outside ASCII in an address need SMTPUTF8", "非 ASCII 地址须用 SMTPUTF8"
)
NULL_SENDER = Reply(
    550,
    "5.7.1",
    "Send from your own address, the empty sender is for reports only",
    "请用本单位地址发送，空发件人仅限系统报告",
)
ACTION_ALONE = Reply(
    550,
    "5.7.1",
    "An answer to the post office goes to its address alone",
    "发往邮局回复地址的邮件不能同时发给其他人",
)
NOT_YOUR_ADDRESS = Reply(
    553, "5.7.1", "This account may not send under that address", "此账号不能使用该发件地址"
)
NO_SUCH_RECIPIENT = Reply(
    550, "5.1.1", "There is no such recipient in this office", "本局没有这个收件人"
)
NO_MEMBERS = Reply(550, "5.1.1", "No unit is in that group", "该群组没有成员单位")
NO_RELAY = Reply(
    550, "5.7.1", "Mail to other domains does not leave this office", "不能向外部域名发信"
)

# The message
BARE_ENDINGS = Reply(
    554,
    "5.6.0",
    "Bare CR, bare LF or NUL in the message; your mail program must end lines with CR LF",
    "邮件中有单独的 CR、LF 或 NUL，邮件软件须以 CR LF 换行",
)
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "A parameter is not known here", "不支持的参数")

# Limits
TOO_MANY_RECIPIENTS = Reply(
    452,
    "4.5.3",
    "Too many recipients, send to the others again or use a group",
    "收件人太多，请分次发送或使用群组",
)
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections, try later", "连接数已满，请稍后")
TOO_MANY_FROM_ADDRESS = Reply(
    421, "4.7.0", "Too many connections from your address", "来自同一地址的连接过多"
)
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, goodbye", "错误过多，连接关闭")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands, connect again", "命令过多，请重新连接")
COMMAND_TIMEOUT = Reply(
    421, "4.4.2", "Nothing was sent for too long, goodbye", "空闲过久，连接关闭"
)
DATA_TIMEOUT = Reply(421, "4.4.2", "The message took too long", "邮件传输超时")
SESSION_TIMEOUT = Reply(421, "4.4.2", "The session took too long, connect again", "会话超时")
DISK_FULL = Reply(
    452, "4.3.1", "The post office is out of space, try later", "磁盘空间不足，请稍后"
)
STOPPING = Reply(
    421, "4.3.2", "The post office is being restarted, try again", "系统重启，请稍后再试"
)
FAILED = Reply(
    421, "4.3.0", "The post office had an error, try again later", "系统出错，请稍后再试"
)


def too_large(limit: int) -> Reply:
    """The reply to a message above the limit, in octets."""
    size = f"{limit / 1_048_576:.1f}".removesuffix(".0")
    return Reply(
        552,
        "5.3.4",
        f"The message is larger than {size} MiB",
        f"邮件超过 {size} MiB 的上限",
    )


def accepted(document_id: str) -> Reply:
    """The one line that promises: the document is on disk."""
    return Reply(250, "2.0.0", f"{document_id} accepted")


def bad_parameter(keyword: str) -> Reply:
    """The reply to a value that the parameter's RFC does not allow."""
    return Reply(501, "5.5.4", f"The value of {keyword} is not valid", f"{keyword} 的值无效")


def repeated_parameter(keyword: str) -> Reply:
    """The reply to a parameter given twice."""
    return Reply(501, "5.5.4", f"{keyword} is given twice", f"{keyword} 重复")


def octets(reply: Reply, *, utf8: bool, first: str = "en") -> bytes:
    """The reply as it goes over the wire, with its last CR LF.

    `utf8` is whether Chinese may be sent; then `first` is the language of the first line. Control
    characters become spaces, so that no text from outside can begin a second reply, and each line
    keeps to 512 octets.
    """
    prefix = f"{reply.enhanced} " if reply.enhanced else ""
    texts = _texts(reply, utf8=utf8, first=first)
    last = len(texts) - 1
    lines = (
        _cut(f"{reply.code}{' ' if place == last else '-'}{prefix}{text}")
        for place, text in enumerate(texts)
    )
    return b"".join(line + b"\r\n" for line in lines)


def _texts(reply: Reply, *, utf8: bool, first: str) -> list[str]:
    english, chinese = (_UNSAFE.sub(" ", text).strip() for text in (reply.text, reply.text_zh))
    if not utf8:
        return [english if english.isascii() else _NOT_ASCII]
    texts = [chinese, english] if first == "zh-CN" else [english, chinese]
    return [text for text in texts if text] or [""]


def _cut(line: str) -> bytes:
    return line.encode("utf-8", "replace")[:LINE_OCTETS].decode("utf-8", "ignore").encode()
