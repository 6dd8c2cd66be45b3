"""Counters of a server, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@final
class Measurements:
    """The counters of one server; the text is at `/metrics`."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "sightline_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self._request_s = Histogram(
            "sightline_request_seconds", "Seconds of a request.", ["route"], buckets=SECONDS, registry=registry
        )
        self._batch_size = Histogram(
            "sightline_batch_inputs", "Inputs of a batch.", ["model"], buckets=SIZES, registry=registry
        )
        self._batch_s = Histogram(
            "sightline_batch_seconds", "Seconds of a batch.", ["model"], buckets=SECONDS, registry=registry
        )
        self._waiting = Gauge("sightline_waiting_inputs", "Inputs in the queue.", ["model"], registry=registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request; the route is one of the server's own, so that there are few."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def batches(self, model: str) -> Callable[[int, float], None]:
        """A function that counts the batches of a model: their inputs and seconds."""
        sizes, seconds_of = self._batch_size.labels(model), self._batch_s.labels(model)

        def measure(size: int, seconds: float) -> None:
            sizes.observe(size)
            seconds_of.observe(seconds)

        return measure

    def watch(self, model: str, waiting: Callable[[], float]) -> None:
        """Tell the length of a model's queue whenever it is asked for."""
        self._waiting.labels(model).set_function(waiting)

    def text(self) -> bytes:
        """All counters in the text format."""
        return generate_latest(self._registry)
