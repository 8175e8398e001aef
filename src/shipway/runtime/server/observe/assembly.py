"""The observer of a server, as its settings want it. The libraries of what is switched off are not imported."""

from __future__ import annotations

from shipway.runtime.server.observe import process
from shipway.runtime.server.observe.access_log import AccessLog, write_stdout
from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.observe.observer import Observer, Sink
from shipway.runtime.server.observe.predictions.log import make_prediction_log
from shipway.runtime.server.observe.tracing import make_tracer
from shipway.runtime.server.settings import Settings


def make_observer(settings: Settings) -> Observer:
    """Raises ModelRefused when what is switched on lacks a package or a folder."""
    metrics = Metrics(born=process.born())
    metrics.include(process.render)
    wanted = settings.server
    sinks: list[Sink] = []
    if wanted.trace_sample > 0:  # first: it gives requests the trace that the access log names
        workload = settings.workload or settings.model
        sinks.append(make_tracer(wanted.trace_sample, settings.model, f"{workload}/{settings.replica}"))
    if wanted.access_log:
        access_log = AccessLog(write_stdout)
        metrics.include(access_log.render)
        sinks.append(access_log)
    if wanted.prediction_log.sample > 0:
        predictions = make_prediction_log(settings)
        metrics.include(predictions.render)
        sinks.append(predictions)
    return Observer(metrics, tuple(sinks))
