"""How mail programs say that a subject is inherited: Re:, AW:, 回复:, 转发: ...

One list for marking, metadata and policy: three lists would let a word through one of them.
"""

from __future__ import annotations

# One prefix at the start of a subject in half width (`simplify`, `fold` or `fold_in_place`).
# 转发 without a colon begins an official title.
REPLY_PREFIX = (
    r"\s*(?i:re|fwd?|aw|wg|sv|vs|antw|tr|rv|回复|答复|转发|转寄|回覆)"
    r"(?:\[\d{1,4}\]|\(\d{1,4}\))?\s*:"
)
