"""Metadata: 文号, 文种, 紧急程度 and the label in the subject, on which rules base the class."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.domain.document import MessageClass, Urgency
from gateway.domain.metadata import KINDS, NUMBER_MALFORMED, SUBJECT_LENGTH
from gateway.domain.reply import REPLY_PREFIX
from gateway.domain.script import fold, visible
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter

_GROUP = re.compile(r"\s*[【\[〔(〖]\s*([^】\]〕)〗]{1,12}?)\s*[】\]〕)〗]")
_REPLY = re.compile(REPLY_PREFIX)
_LABELS = {
    "公文": MessageClass.DOCUMENT, "document": MessageClass.DOCUMENT,
    "通知": MessageClass.NOTICE, "notice": MessageClass.NOTICE,
    "信息": MessageClass.INFORMATION, "information": MessageClass.INFORMATION,
    "邮件": MessageClass.MAIL, "mail": MessageClass.MAIL,
}  # fmt: skip
SOURCES = ("subject", "mt-priority", "importance", "x-priority", "default")


async def look(matter: Matter) -> Mapping[str, Value]:
    """Put the metadata into words; the subject itself is not a fact and reaches no rule."""
    inspection = matter.inspection
    metadata = inspection.metadata
    label, replying = read_subject(inspection.subject)
    number = "present" if metadata.number_found or metadata.number else "missing"
    return {
        "kind": metadata.kind or "none",
        "number": "malformed" if NUMBER_MALFORMED in metadata.warnings else number,
        "urgency": metadata.urgency.value,
        "urgency-source": inspection.urgency_source or "default",
        "label": label,
        "replying": replying,
        "remarks": tuple(dict.fromkeys((*metadata.warnings, *matter.submission.warnings))),
    }


def read_subject(subject: str) -> tuple[str, bool]:
    """The class that a label such as 【通知】 at the start asks for (else `none`), and whether the
    subject is inherited (Re:, 回复:, 转发:). 转发 without a colon begins an official title."""
    folded = " ".join(fold(visible(subject)).split())[:SUBJECT_LENGTH]
    label, replying, position = "none", False, 0
    while True:
        if match := _REPLY.match(folded, position):
            replying = True
        elif match := _GROUP.match(folded, position):
            if label == "none" and not replying and match[1] in _LABELS:
                label = _LABELS[match[1]].value
        else:
            return label, replying
        position = match.end()


CHECK = Check(
    "metadata",
    "document number, kind, urgency and label of the subject",
    (
        Fact("kind", FactKind.WORD, "文种", "none", (*KINDS, "none")),
        Fact("number", FactKind.WORD, "发文字号", "missing", ("present", "malformed", "missing")),
        Fact("urgency", FactKind.WORD, "紧急程度", "normal", tuple(Urgency), quotable=True),
        Fact("urgency-source", FactKind.WORD, "what said the urgency", "default", SOURCES),
        Fact("label", FactKind.WORD, "class asked for by 【公文】, 【通知】, 【信息】 or 【邮件】 "
             "at the start of the subject", "none", (*MessageClass, "none")),
        Fact("replying", FactKind.FLAG, "the subject is inherited: Re:, 回复:, 转发: ...", False),
        Fact("remarks", FactKind.WORDS, "what reading noticed, such as number-malformed, "
             "line-endings-normalised", ()),
    ),
    look,
)  # fmt: skip
