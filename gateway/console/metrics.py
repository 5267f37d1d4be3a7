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
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
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
    kept_elsewhere: bool = False  # by a lower floor; without `watch` it is absent, not 0


# 10 ms to 10 s in even steps, and what a slow line adds to a large message.
_TIMES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: tuple[Metric, ...] = (
    Metric("yizhan_submissions_total", _C,
           "Messages offered with DATA, by outcome: accepted, refused, deferred, abandoned.",
           ("outcome",)),
    Metric("yizhan_submission_bytes_total", _C, "Bytes of accepted messages."),
    Metric("yizhan_submission_duration_seconds", _H,
           "From DATA to the reply, for accepted messages; the client's sending is in it.",
           (), _TIMES),
    Metric("yizhan_smtp_connections", _G, "Open connections of mail clients.", ("door",)),
    Metric("yizhan_smtp_connections_limit", _G,
           "Open connections that are allowed, all doors together.", kept_elsewhere=True),
    Metric("yizhan_mailbox_connections", _G,
           "Open connections of mail programs that read mailboxes.", ("door",)),
    Metric("yizhan_mailbox_connections_limit", _G,
           "Such connections that are allowed, all doors together.", kept_elsewhere=True),
    Metric("yizhan_mailbox_sessions_total", _C,
           "Connections of mail programs to mailboxes since the start.", ("door",)),
    Metric("yizhan_mailbox_turned_away_total", _C,
           "Such connections ended by a limit or by trouble; the label names the limit.",
           ("door", "why")),
    Metric("yizhan_smtp_sessions_total", _C, "Connections of mail clients since the start.",
           ("door",)),
    Metric("yizhan_smtp_turned_away_total", _C,
           "Connections ended by a limit or by trouble; the label names the limit.",
           ("door", "why")),
    Metric("yizhan_logins_total", _C,
           "Logins, by mechanism (password, certificate) and outcome (ok, failed).",
           ("mechanism", "outcome")),
    Metric("yizhan_logins_locked", _G,
           "Pairs of account and address that are locked after wrong passwords.",
           kept_elsewhere=True),
    Metric("yizhan_logins_waiting", _G,
           "Passwords that are being hashed or wait for it.", kept_elsewhere=True),
    Metric("yizhan_outbox_waiting", _G,
           "Receipts, summaries and alerts that are due or were tried in vain.",
           kept_elsewhere=True),
    Metric("yizhan_blobs_unclaimed", _G, "Blobs whose octets no document keeps.",
           kept_elsewhere=True),
    Metric("yizhan_search_waiting", _G,
           "Messages that the search index did not have at the last look.", kept_elsewhere=True),
    Metric("yizhan_evidence_unsealed", _G, "Evidence records that no checkpoint covers yet.",
           kept_elsewhere=True),
    Metric("yizhan_reminders_total", _C,
           "Reminders, by outcome: handed-over, sent, failed, retried, cancelled.", ("outcome",)),
    Metric("yizhan_database_commits_total", _C, "Commits of the writer.", kept_elsewhere=True),
    Metric("yizhan_database_units_total", _C, "Units of work in those commits.",
           kept_elsewhere=True),
    Metric("yizhan_database_waiting", _G, "Units of work that wait for the writer.",
           kept_elsewhere=True),
    Metric("yizhan_node_elected", _G, "1 if this node seals and sweeps, alone of all nodes.",
           kept_elsewhere=True),
    Metric("yizhan_database_failed", _G, "1 if the database takes no more writes.",
           kept_elsewhere=True),
    Metric("yizhan_state_free_bytes", _G, "Free bytes on the disk of the state directory.",
           kept_elsewhere=True),
    Metric("yizhan_state_size_bytes", _G, "Size of the disk of the state directory.",
           kept_elsewhere=True),
    Metric("yizhan_certificate_not_after_timestamp_seconds", _G,
           "When the doors' TLS certificate ends, Unix time.", kept_elsewhere=True),
    Metric("yizhan_backup_last_success_timestamp_seconds", _G,
           "When the last backup was made, Unix time; 0 if none was made.", kept_elsewhere=True),
    Metric("yizhan_children_replaced_total", _C,
           "Children that read files and died, or were killed because their time was over.",
           kept_elsewhere=True),
    Metric("yizhan_workers_replaced_total", _C, "Worker processes that died.", kept_elsewhere=True),
    Metric("yizhan_healthy", _G, "1 unless the health page says `degraded`."),
    Metric("yizhan_build_info", _G, "Always 1; the label has the version.", ("version",)),
)  # fmt: skip

_BY_NAME = {metric.name: metric for metric in METRICS}


class _Readings(Collector):
    """What others keep, read when Prometheus asks."""

    def __init__(self) -> None:
        self.read: dict[str, Callable[[], float]] = {}

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, read in self.read.items():
            counter = _BY_NAME[name].kind is Kind.COUNTER
            family = CounterMetricFamily if counter else GaugeMetricFamily
            yield family(name, _BY_NAME[name].help, value=read())


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
        made = self._made[name]
        if not isinstance(made, Gauge):
            raise TypeError(f"{name} is a {_BY_NAME[name].kind}")
        (made.labels(**labels) if labels else made).set(value)

    def observe(self, name: str, seconds: float) -> None:
        """Put a duration into a histogram."""
        made = self._made[name]
        if not isinstance(made, Histogram):
            raise TypeError(f"{name} is a {_BY_NAME[name].kind}")
        made.observe(seconds)

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Read this metric by the function, which may only look at memory.

        For the rows of `METRICS` that are kept elsewhere.
        """
        if not _BY_NAME[name].kept_elsewhere:
            raise TypeError(f"{name} is kept here")
        self._readings.read[name] = read

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


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
