"""All metrics of the daemon: their names, labels and meaning in one table, and the counters.

The lower floors know nothing of this module: the composition root gives them callbacks, or reads
their own counters when Prometheus asks. `docs/metrics.md` has every row of `METRICS`; a test holds
that. No label ever holds a name of a person, an address or anything of a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector


class Kind(StrEnum):
    """Kinds of Prometheus metrics that we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: the name as Prometheus shows it, its labels and what it says."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    kept_elsewhere: bool = False  # a counter that a lower floor keeps and we only read


_TIMES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: tuple[Metric, ...] = (
    Metric("yizhan_documents_accepted_total", _C, "Messages answered with 250, resends left out.",
           ("message_class", "urgency")),
    Metric("yizhan_documents_repeated_total", _C, "Resends after a lost 250."),
    Metric("yizhan_submissions_refused_total", _C, "Messages refused after DATA, by reason.",
           ("reason",)),
    Metric("yizhan_submissions_deferred_total", _C, "Messages answered with a 4xx after DATA."),
    Metric("yizhan_submission_octets_total", _C, "Octets of accepted messages."),
    Metric("yizhan_acceptance_seconds", _H, "From the end of DATA to the reply.", (), _TIMES),
    Metric("yizhan_inspection_seconds", _H, "To examine one message for the policy.", (), _TIMES),
    Metric("yizhan_extraction_failures_total", _C,
           "Children that were killed or died while they read attachments."),
    Metric("yizhan_seal_findings_total", _C, "Seals judged, by finding.", ("state",)),
    Metric("yizhan_deliveries_total", _C, "Deliveries, by event.", ("event",)),
    Metric("yizhan_smtp_connections", _G, "Open connections of mail clients.", ("door",)),
    Metric("yizhan_smtp_sessions_total", _C, "Connections of mail clients since the start.",
           ("door",)),
    Metric("yizhan_smtp_replies_total", _C, "Replies to mail clients, by class (2 to 5).",
           ("door", "class")),
    Metric("yizhan_logins_total", _C, "Logins, by outcome: ok, failed, locked.", ("outcome",)),
    Metric("yizhan_logins_locked", _G, "Pairs of account and address that are locked now."),
    Metric("yizhan_database_commits_total", _C, "Commits of the writer.",
           kept_elsewhere=True),
    Metric("yizhan_database_units_total", _C, "Units of work in those commits.",
           kept_elsewhere=True),
    Metric("yizhan_database_waiting", _G, "Units of work that wait for the writer."),
    Metric("yizhan_database_failed", _G, "1 if the database takes no more writes."),
    Metric("yizhan_free_octets", _G, "Free octets on the disk of the state directory."),
    Metric("yizhan_evidence_records_total", _C, "Evidence records written, by event.", ("event",)),
    Metric("yizhan_evidence_unsealed", _G, "Records that no checkpoint covers yet."),
    Metric("yizhan_checkpoint_age_seconds", _G, "Age of the newest checkpoint."),
    Metric("yizhan_receipts_total", _C, "Receipts put into mailboxes, by kind.", ("kind",)),
    Metric("yizhan_reminders_total", _C,
           "Reminders, by outcome: handed-over, sent, failed, retried, cancelled.", ("outcome",)),
    Metric("yizhan_reminders_waiting", _G, "Reminders that are queued or being handed over."),
    Metric("yizhan_healthy", _G, "1 if the health page said ok when it was last asked."),
    Metric("yizhan_started_seconds", _G, "Unix time at which the daemon was ready."),
    Metric("yizhan_build_info", _G, "Always 1; the label has the version.", ("version",)),
)  # fmt: skip

_BY_NAME = {metric.name: metric for metric in METRICS}


class _Readings(Collector):
    """Counters that others keep, read when Prometheus asks."""

    def __init__(self) -> None:
        self.read: dict[str, Callable[[], float]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, read in self.read.items():
            yield CounterMetricFamily(name, _BY_NAME[name].help, value=read())


class Metrics:
    """The metrics of one daemon, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._made = {m.name: _make(m, self.registry) for m in METRICS if not m.kept_elsewhere}
        self._readings = _Readings()
        self.registry.register(self._readings)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.set("yizhan_build_info", 1, version=version)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter. Raises KeyError for a name that is not in `METRICS`."""
        made = self._made[name]
        if not isinstance(made, Counter):
            raise TypeError(f"{name} is a {_BY_NAME[name].kind}")
        (made.labels(**labels) if labels else made).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._gauge(name, labels).set(value)

    def observe(self, name: str, seconds: float) -> None:
        """Put a duration into a histogram."""
        made = self._made[name]
        if not isinstance(made, Histogram):
            raise TypeError(f"{name} is a {_BY_NAME[name].kind}")
        made.observe(seconds)

    def watch(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Ask this function whenever the metric is read; it may only look at memory.

        For gauges, and for the counters of `METRICS` that are kept elsewhere.
        """
        if _BY_NAME[name].kept_elsewhere:
            self._readings.read[name] = read
        else:
            self._gauge(name, labels).set_function(read)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, labels: dict[str, str]) -> Gauge:
        made = self._made[name]
        if not isinstance(made, Gauge):
            raise TypeError(f"{name} is a {_BY_NAME[name].kind}")
        return made.labels(**labels) if labels else made


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    match metric.kind:
        case Kind.COUNTER:
            return Counter(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.GAUGE:
            return Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(
                metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
            )
