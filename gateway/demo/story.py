"""The demo's story: four letters through the real doors, and what the post office made of them."""

from __future__ import annotations

from gateway.demo.client import Letter

NOTICE = """各单位：

    据市气象台预报，今晚至明天我区有暴雨。请各单位立即启动防汛应急预案，
领导带班，24小时值守，并于今日20时前将值班安排报区政府办公室。

                                        和平区人民政府办公室
"""

REPORT = """区政府办公室：

    我局已按要求启动防汛应急预案，现将值班安排报上：带班领导一名，
值班人员四名，排水泵站全部开启，物资到位。

                                        和平区水务局
"""

STORY: tuple[tuple[str, Letter], ...] = (
    (
        "The government office sends an urgent sealed notice to all units",
        Letter(
            sender="office",
            recipients=("all",),
            subject="【特急】和政办发〔2026〕45号 关于做好暴雨防范应对工作的通知",
            text=NOTICE,
            seal="office",
        ),
    ),
    (
        "The water bureau reports upward",
        Letter(
            sender="water",
            recipients=("office",),
            subject="和水报〔2026〕12号 关于防汛值班安排的报告",
            text=REPORT,
            seal="water",
        ),
    ),
    (
        "A letter that bears a classification marking is refused",
        Letter(
            sender="finance",
            recipients=("office",),
            subject="机密★1年 关于专项资金的函",
            text="区政府办公室：\n\n    请见附件。\n",
            seal="finance",
        ),
    ),
    (
        "A letter under another unit's seal is refused",
        Letter(
            sender="education",
            recipients=("office",),
            subject="和教函〔2026〕7号 关于学校停课安排的函",
            text="区政府办公室：\n\n    明日全区中小学停课一天。\n",
            seal="water",
        ),
    ),
)
