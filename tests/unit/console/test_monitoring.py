"""The dashboard and the alert rules fit the metrics that there are, and say what to do."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from gateway.console.metrics import METRICS, Kind
from tests.office import ROOT

BY_NAME = {metric.name: metric for metric in METRICS}
RULES = yaml.safe_load((ROOT / "monitoring" / "yizhan-alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "monitoring" / "yizhan-dashboard.json").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]
EXPRESSIONS = [alert["expr"] for alert in ALERTS] + [
    target["expr"] for panel in GRAPHS for target in panel["targets"]
]

# https://prometheus.io/docs/prometheus/latest/querying/functions/, those that we use
FUNCTIONS = {"rate", "increase", "sum", "max", "time", "min_over_time", "histogram_quantile"}
WORDS = {"by", "and"}
OTHERS = {
    "up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds",
    "process_max_fds",
}  # fmt: skip
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}
# grafana/packages/grafana-data/src/valueFormats/categories.ts, those that we use
UNITS = {"none", "short", "s", "bytes", "Bps", "percentunit", "reqps", "ops", "cps"}
DURATION = r"[0-9]+[smhd]"


def base(name: str) -> str:
    """The metric that a series belongs to: a histogram has three."""
    found = re.sub(r"_(bucket|sum|count)$", "", name)
    return found if found in BY_NAME and BY_NAME[found].kind is Kind.HISTOGRAM else name


def series(expression: str) -> set[str]:
    return {base(name) for name in re.findall(r"\byizhan_\w+", expression)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_there_is(expression: str) -> None:
    assert series(expression) <= set(BY_NAME)
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)
    assert all(re.fullmatch(DURATION, span) for span in re.findall(r"\[(.*?)\]", expression))
    for name, selector in re.findall(r"(\w+)\{(.*?)\}", expression):
        known = set(BY_NAME[base(name)].labels) if base(name) in BY_NAME else set()
        asked = set(re.findall(r"(\w+)=", selector))
        assert asked <= known | LABELS_OF_PROMETHEUS
    bare = re.sub(r"\{.*?\}|\[.*?\]|\bby \(.*?\)", " ", expression)
    called = set(re.findall(r"([a-z_]+)\s*\(", bare))
    assert called <= FUNCTIONS | WORDS
    rest = set(re.findall(r"\b[a-z_]+\b", bare)) - called - WORDS
    assert {base(name) for name in rest} <= set(BY_NAME) | OTHERS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_counter_is_only_looked_at_by_its_rate(expression: str) -> None:
    for name in series(expression):
        if BY_NAME[name].kind is not Kind.GAUGE:
            assert re.search(rf"(rate|increase)\({name}", expression), name
        else:
            assert not re.search(rf"(rate|increase)\({name}", expression), name


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for panel in GRAPHS for target in panel["targets"]
             for name in series(target["expr"])}  # fmt: skip
    assert set(BY_NAME) - shown == set()


def test_the_panels_have_units_words_and_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in GRAPHS:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["title"] and panel["targets"], panel
        assert panel["datasource"]["uid"] == "${DS_PROMETHEUS}"
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    assert {one["name"] for one in DASHBOARD["__inputs"]} == {"DS_PROMETHEUS"}
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_is_wrong_what_to_do_and_where_more_stands(
    alert: dict[str, Any],
) -> None:
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(DURATION, alert["for"])
    assert alert["labels"]["severity"] in {"critical", "warning"}
    notes = alert["annotations"]
    assert notes["summary"] and notes["description"].endswith(".")
    page, _, anchor = notes["runbook"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.M)
    assert anchor in [heading.lower() for heading in headings]
    assert alert["alert"] in headings


def test_no_page_explains_an_alert_that_is_none() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (Yizhan\w+)$", page, re.M) == [alert["alert"] for alert in ALERTS]
    assert {base(name) for name in re.findall(r"\byizhan_[a-z_]+\b", page)} == set(BY_NAME)
