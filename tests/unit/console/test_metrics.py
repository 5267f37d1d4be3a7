"""Every metric is in one table, in the manual, and named as Prometheus asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.console.meters import DoorMeter
from gateway.console.metrics import METRICS, Kind, Metric, Metrics

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_every_metric_has_its_row_in_the_manual_and_every_row_its_metric() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", MANUAL.read_text(), re.M)
    expected = [
        (m.name, m.kind.value, ", ".join(f"`{label}`" for label in m.labels) or "-", m.help)
        for m in METRICS
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == expected


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"yizhan_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)


def shown(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def test_what_is_counted_is_shown() -> None:
    metrics = Metrics("0.1.0")
    metrics.count("yizhan_reminders_total", outcome="sent")
    metrics.count("yizhan_submission_bytes_total", 4096)
    metrics.set("yizhan_smtp_connections", 3, door="starttls-2587")
    metrics.observe("yizhan_submission_duration_seconds", 0.02)
    commits = [5.0]
    metrics.watch("yizhan_database_commits_total", lambda: commits[0])
    metrics.watch("yizhan_database_waiting", lambda: 2.0)
    commits[0] = 7.0
    found = shown(metrics)
    assert found["yizhan_reminders_total", (("outcome", "sent"),)] == 1
    assert found["yizhan_submission_bytes_total", ()] == 4096
    assert found["yizhan_smtp_connections", (("door", "starttls-2587"),)] == 3
    assert found["yizhan_submission_duration_seconds_bucket", (("le", "0.02"),)] == 1
    assert found["yizhan_database_commits_total", ()] == 7
    assert found["yizhan_database_waiting", ()] == 2
    assert found["yizhan_build_info", (("version", "0.1.0"),)] == 1
    assert found["process_open_fds", ()] > 0


def test_what_nobody_watches_is_absent_and_not_zero() -> None:
    # `yizhan_state_free_bytes 0` would be an alarm.
    assert ("yizhan_state_free_bytes", ()) not in shown(Metrics("0.1.0"))


def test_a_name_or_label_that_is_not_in_the_table_cannot_be_counted() -> None:
    metrics = Metrics("0.1.0")
    with pytest.raises(KeyError):
        metrics.count("yizhan_surprises_total")
    with pytest.raises(ValueError, match="label"):
        metrics.count("yizhan_reminders_total", colour="red")
    with pytest.raises(TypeError):
        metrics.count("yizhan_healthy")
    with pytest.raises(TypeError):
        metrics.watch("yizhan_healthy", lambda: 1.0)


def test_all_that_a_door_tells_is_counted() -> None:
    metrics = Metrics("0.1.0")
    meter = DoorMeter(metrics, "starttls-2587")
    meter.connected()
    meter.connected()
    meter.left()
    meter.turned_away("errors")
    meter.login("password", good=False)
    meter.login("certificate", good=True)
    meter.message("accepted", 4096, 0.02)
    meter.message("refused", 9, 0.02)
    found = shown(metrics)
    door = ("door", "starttls-2587")
    assert found["yizhan_smtp_connections", (door,)] == 1
    assert found["yizhan_smtp_sessions_total", (door,)] == 2
    assert found["yizhan_smtp_turned_away_total", (door, ("why", "errors"))] == 1
    failed = (("mechanism", "password"), ("outcome", "failed"))
    assert found["yizhan_logins_total", failed] == 1
    assert found["yizhan_submissions_total", (("outcome", "refused"),)] == 1
    assert found["yizhan_submission_bytes_total", ()] == 4096
    assert found["yizhan_submission_duration_seconds_count", ()] == 1
