"""The benchmarks run: nobody else would notice that one has stopped to, until it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.one_database("they choose their own")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            "compare --bare --servers yizhan --mails 10 --rounds 1 --kilobytes 4 "
            "--connections 2 --ways reused",
            "| yizhan |",
        ),
        ("commits --sqlite --units 30 --rounds 1 --clients 2", "| 1 | 2 |"),
        ("submit --mails 10 --connections 2", "commits"),
        ("growth --documents 20 --each 2", "20 in the store"),
        ("idle --clients 5 --seconds 1", "5 clients"),
        ("search --documents 60 --rounds 1", "| 防汛 |"),
        ("mailbox --mails 60 --only yizhan --idle 3", "| noop-worst |"),
    ],
    ids=["compare", "commits", "submit", "growth", "idle", "search", "mailbox"],
)
def test_a_benchmark_runs_to_its_end(words: str, shown: str, office_template: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *f"bench.{words}".split()],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "YIZHAN_TEMPLATE": str(office_template)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
