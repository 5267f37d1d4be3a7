"""Every metric is in one table, in the manual, and named as Prometheus asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.console.metrics import METRICS, Kind, Metrics

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_every_metric_has_its_row_in_the_manual_and_every_row_its_metric() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", MANUAL.read_text(), re.M)
    expected = [
        (m.name, m.kind.value, ", ".join(f"`{label}`" for label in m.labels) or "-", m.help)
        for m in METRICS
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == expected


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_names_follow_the_conventions(metric: Metrics) -> None:
    assert re.fullmatch(r"yizhan_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)


def test_what_is_counted_is_shown() -> None:
    metrics = Metrics("0.1.0")
    metrics.count("yizhan_documents_accepted_total", message_class="document", urgency="extra")
    metrics.count("yizhan_submission_octets_total", 4096)
    metrics.set("yizhan_smtp_connections", 3, door="2587")
    metrics.observe("yizhan_acceptance_seconds", 0.02)
    commits = [5.0]
    metrics.watch("yizhan_database_commits_total", lambda: commits[0])
    metrics.watch("yizhan_database_waiting", lambda: 2.0)
    commits[0] = 7.0
    shown = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }
    labels = (("message_class", "document"), ("urgency", "extra"))
    assert shown["yizhan_documents_accepted_total", labels] == 1
    assert shown["yizhan_submission_octets_total", ()] == 4096
    assert shown["yizhan_smtp_connections", (("door", "2587"),)] == 3
    assert shown["yizhan_acceptance_seconds_bucket", (("le", "0.025"),)] == 1
    assert shown["yizhan_database_commits_total", ()] == 7
    assert shown["yizhan_database_waiting", ()] == 2
    assert shown["yizhan_build_info", (("version", "0.1.0"),)] == 1
    assert shown["process_open_fds", ()] > 0


def test_a_name_that_is_not_in_the_table_cannot_be_counted() -> None:
    metrics = Metrics("0.1.0")
    with pytest.raises(KeyError):
        metrics.count("yizhan_surprises_total")
    with pytest.raises(TypeError):
        metrics.count("yizhan_database_waiting")
